// At the change of shift: everything open that is assigned to me becomes somebody else's, in one action.

import { useState } from "preact/hooks";
import { ApiError, handOver } from "../api";
import { alarmList, me, takeAlarm } from "../store";
import { w } from "../words";

export function HandOver() {
  const [to, setTo] = useState("");
  const [said, setSaid] = useState<{ words: string; failed: boolean } | null>(null);
  const [working, setWorking] = useState(false);
  const mine = alarmList.value.filter((a) => a.assigned_to === me.value).length;
  const send = async () => {
    setWorking(true);
    try {
      const moved = await handOver(me.peek(), to.trim(), "");
      for (const alarm of moved) takeAlarm(alarm);
      setSaid({ words: w.inbox.handedOver({ n: moved.length, to: to.trim() }), failed: false });
      setTo("");
    } catch (error) {
      setSaid({
        words: error instanceof ApiError ? error.message : w.inbox.notHandedOver,
        failed: true,
      });
    } finally {
      setWorking(false);
    }
  };
  return (
    <form
      class="row"
      data-testid="hand-over"
      onSubmit={(event) => {
        event.preventDefault();
        if (to.trim() !== "") void send();
      }}
    >
      <label class="field grow">
        {w.inbox.handOver({ n: mine })}
        <input
          maxLength={64}
          placeholder={w.common.name}
          value={to}
          onInput={(event) => setTo(event.currentTarget.value)}
        />
      </label>
      <button type="submit" class="main" disabled={working || mine === 0 || to.trim() === ""}>
        {w.inbox.handOverNow}
      </button>
      {said !== null && (
        <p class={said.failed ? "error" : "fine"} role={said.failed ? "alert" : "status"}>
          {said.words}
        </p>
      )}
    </form>
  );
}
