// What was just done, and the way back while there is one. It lies over the end of the inbox, so that nothing moves under a finger.

import { nowMs } from "../store";
import { w } from "../words";
import { where } from "./Card";
import { outcome, takeBack, undoable } from "./undo";

export function Undo() {
  const done = undoable.value;
  const failed = outcome.value;
  const first = done?.alarms[0];
  void nowMs.value; // the seconds count down
  const said =
    done === null || first === undefined
      ? ""
      : done.alarms.length > 1
        ? w.inbox.didToMany({ what: done.what, n: done.alarms.length })
        : w.inbox.didToOne({ what: done.what, where: where(first), alarm: first.text });
  const left = done === null ? 0 : Math.max(0, Math.ceil((done.untilMs - performance.now()) / 1000));
  return (
    <div class={`undo ${said === "" && failed === null ? "none" : ""}`} data-testid="undo">
      <p role="status">{failed ?? said}</p>
      {done !== null && (
        <button type="button" class="main" onClick={() => void takeBack()} data-testid="undo-now">
          {w.inbox.undo} <span aria-hidden="true">{w.inbox.undoLeft({ s: left })}</span>
        </button>
      )}
      {done === null && failed !== null && (
        <button type="button" onClick={() => (outcome.value = null)}>
          {w.common.close}
        </button>
      )}
    </div>
  );
}
