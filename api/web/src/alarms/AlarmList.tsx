// Open alarms, most urgent first, with acknowledge.

import { useState } from "preact/hooks";
import { ApiError, acknowledge } from "../api";
import { PriorityIcon } from "../icons";
import { age } from "../stale";
import { alarmList, beds, nowMs, openPatient, selectedAlarm, takeAlarm, unacknowledged } from "../store";
import type { Alarm } from "../types";

export function AlarmList() {
  const list = alarmList.value;
  return (
    <aside class="alarms" aria-label="Alarms" data-testid="alarm-list">
      <h2>
        Alarms <span class="count">{unacknowledged.value}</span>
      </h2>
      {list.length === 0 ? (
        <p class="quiet">No open alarms.</p>
      ) : (
        <ul>
          {list.map((alarm) => (
            <Item key={alarm.id} alarm={alarm} />
          ))}
        </ul>
      )}
    </aside>
  );
}

function Item({ alarm }: { alarm: Alarm }) {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const who = beds.value.get(alarm.patient)?.who.value;
  const open = alarm.state !== "acknowledged";
  const technical = alarm.lane === "technical";
  const onAcknowledge = () => {
    setBusy(true);
    setError(null);
    acknowledgeAlarm(alarm)
      .catch((e: unknown) => setError(e instanceof ApiError ? e.message : "Not acknowledged. Try again."))
      .finally(() => setBusy(false));
  };
  return (
    <li
      class={`alarm ${technical ? "technical" : alarm.priority} ${alarm.state}`}
      data-testid="alarm"
      data-alarm={alarm.id}
      data-patient={alarm.patient}
      data-condition={alarm.condition}
      data-priority={alarm.priority}
      data-state={alarm.state}
      data-selected={selectedAlarm.value === alarm.id}
    >
      <button
        type="button"
        class="what"
        onClick={() => {
          if (alarm.subject !== "group") openPatient.value = alarm.patient;
        }}
      >
        <PriorityIcon priority={alarm.priority} technical={technical} />
        <span class="text">{alarm.text}</span>
        <span class="where">
          {alarm.subject === "group" ? "Many patients" : `${who?.bed ?? ""} ${who?.name ?? alarm.patient}`}
        </span>
        <span class="since">{since(alarm.onset)}</span>
      </button>
      <p class="why">{alarm.reasons.map((r) => r.text).join(" · ")}</p>
      {alarm.state === "latched" && <p class="state">Ended, not yet acknowledged</p>}
      {!open && <p class="state">Acknowledged by {alarm.acknowledged_by ?? "somebody"}</p>}
      {open && (
        <button type="button" class="ack" onClick={onAcknowledge} disabled={busy} data-testid="acknowledge">
          {busy ? "…" : "Acknowledge"}
        </button>
      )}
      {error !== null && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
    </li>
  );
}

export async function acknowledgeAlarm(alarm: Alarm): Promise<void> {
  takeAlarm(await acknowledge(alarm));
}

function since(onset: string): string {
  return age(Math.max(0, Math.floor((nowMs.value - Date.parse(onset)) / 1000)));
}
