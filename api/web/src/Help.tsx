// What the keys do and what the colours mean.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { PriorityIcon } from "./icons";
import { KEYS } from "./keyboard";
import { w } from "./words";

export const helpOpen = signal(false);

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useEffect(() => {
    const element = dialog.current;
    if (open && element !== null && !element.open) element.showModal();
    if (!open && element?.open) element.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      class="ask"
      aria-labelledby="help-title"
      data-testid="help"
      onClose={() => (helpOpen.value = false)}
    >
      <h2 id="help-title">{w.help.title}</h2>
      <dl class="keys">
        {KEYS.map((key) => (
          <div key={key}>
            <dt>
              <kbd>{key === "Escape" ? w.help.escapeKey : key}</kbd>
            </dt>
            <dd>{w.help.keys[key]}</dd>
          </div>
        ))}
      </dl>
      <ul class="marks">
        <li class="bar high">
          <PriorityIcon priority="high" technical={false} /> {w.help.high}
        </li>
        <li class="bar medium">
          <PriorityIcon priority="medium" technical={false} /> {w.help.medium}
        </li>
        <li class="bar low">
          <PriorityIcon priority="low" technical={false} /> {w.help.low}
        </li>
        <li class="bar technical">
          <PriorityIcon priority="low" technical={true} /> {w.help.technical}
        </li>
      </ul>
      <p>{w.help.marks}</p>
      <div class="row">
        <button type="button" class="main" onClick={() => (helpOpen.value = false)}>
          {w.common.close}
        </button>
      </div>
    </dialog>
  );
}
