// Acknowledging several alarms with care: every one is listed with its patient, none of high priority is ticked for anybody, and an
// alarm that has changed since it was listed is not acknowledged.

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { PriorityIcon } from "../icons";
import { alarms, waiting } from "../store";
import type { Alarm } from "../types";
import { w } from "../words";
import { failures } from "./acting";
import { acknowledgeAll } from "./actions";
import { where } from "./Card";
import { ticked } from "./inbox";

export const bulkOpen = signal(false);

export function Bulk() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = bulkOpen.value;
  useEffect(() => {
    const element = dialog.current;
    if (open && element !== null && !element.open) element.showModal();
    if (!open && element?.open) element.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      class="ask"
      aria-labelledby="bulk-title"
      data-testid="bulk-dialog"
      onClose={() => (bulkOpen.value = false)}
    >
      {open && <Listed />}
    </dialog>
  );
}

function Listed() {
  // As they were when the dialog opened: what a person has read is what they acknowledge.
  const [listed, setListed] = useState<readonly Alarm[]>(() => waiting.peek());
  const [chosen, setChosen] = useState<ReadonlySet<string>>(
    () => new Set(listed.filter(ticked).map((a) => a.id)),
  );
  const [result, setResult] = useState<string | null>(null);
  const [working, setWorking] = useState(false);
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const send = async () => {
    setWorking(true);
    const refused = await acknowledgeAll(listed.filter((a) => chosen.has(a.id)));
    setWorking(false);
    if (refused === 0) {
      bulkOpen.value = false;
      return;
    }
    // What is left is listed as it is now, and nothing of it is ticked: it must be read again.
    setListed(waiting.peek());
    setChosen(new Set());
    setResult(w.bulk.refused({ done: chosen.size - refused, refused }));
  };
  return (
    <form
      method="dialog"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <h2 id="bulk-title">{w.bulk.title}</h2>
      <p>{w.bulk.care}</p>
      {result !== null && (
        <p class="error" role="alert">
          {result}
        </p>
      )}
      <ul class="listed">
        {listed.map((alarm) => (
          <li key={alarm.id} class={alarm.lane === "technical" ? "technical" : alarm.priority}>
            <label>
              <input
                type="checkbox"
                checked={chosen.has(alarm.id)}
                disabled={working || alarms.value.get(alarm.id)?.state === "acknowledged"}
                onChange={() => toggle(alarm.id)}
              />
              <PriorityIcon priority={alarm.priority} technical={alarm.lane === "technical"} />
              <strong>{where(alarm)}</strong> {alarm.text}
              {failures.value.has(alarm.id) && <small> {failures.value.get(alarm.id)}</small>}
            </label>
          </li>
        ))}
      </ul>
      <div class="row">
        <button type="submit" class="main" disabled={working || chosen.size === 0} data-testid="bulk-now">
          {w.bulk.now({ n: chosen.size })}
        </button>
        <button type="button" onClick={() => (bulkOpen.value = false)}>
          {w.common.cancel}
        </button>
      </div>
    </form>
  );
}
