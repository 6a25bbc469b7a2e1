// What was just done, and the way back while there is one. It lies over the end of the inbox, so that nothing moves under a finger.

import { nowMs } from "../store";
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
        ? `${done.what}: ${done.alarms.length} alarms`
        : `${done.what}: ${where(first)}, ${first.text}`;
  const left = done === null ? 0 : Math.max(0, Math.ceil((done.untilMs - performance.now()) / 1000));
  return (
    <div class={`undo ${said === "" && failed === null ? "none" : ""}`} data-testid="undo">
      <p role="status">{failed ?? said}</p>
      {done !== null && (
        <button type="button" class="main" onClick={() => void takeBack()} data-testid="undo-now">
          Undo <span aria-hidden="true">({left} s)</span>
        </button>
      )}
      {done === null && failed !== null && (
        <button type="button" onClick={() => (outcome.value = null)}>
          Close
        </button>
      )}
    </div>
  );
}
