// What the keys do and what the colours mean.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { PriorityIcon } from "./icons";
import { KEYS } from "./keyboard";

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
      <h2 id="help-title">Keys and marks</h2>
      <dl class="keys">
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <ul class="marks">
        <li class="bar high">
          <PriorityIcon priority="high" technical={false} /> *** high: look at once
        </li>
        <li class="bar medium">
          <PriorityIcon priority="medium" technical={false} /> ** medium: look promptly
        </li>
        <li class="bar low">
          <PriorityIcon priority="low" technical={false} /> * low: be aware
        </li>
        <li class="bar technical">
          <PriorityIcon priority="low" technical={true} /> technical: about a device or its link
        </li>
      </ul>
      <p>
        Acknowledged and snoozed alarms keep the colour of their priority as an edge. A hatched value is too
        old to be shown. Δ is the deviation from the patient's own usual.
      </p>
      <div class="row">
        <button type="button" class="main" onClick={() => (helpOpen.value = false)}>
          Close
        </button>
      </div>
    </dialog>
  );
}
