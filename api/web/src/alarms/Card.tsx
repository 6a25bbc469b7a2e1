// One alarm of the inbox. Closed it says what, who and why; chosen it opens to everything that can be done about it.

import { may } from "../access/session";
import { PriorityIcon } from "../icons";
import { age } from "../stale";
import { beds, me, nowMs, openPatient, policy, selectedAlarm } from "../store";
import { left, moment, utc } from "../times";
import type { Alarm, LabelName } from "../types";
import { busy, failures } from "./acting";
import { acknowledge, escalate, type Form, label, openForm } from "./actions";
import { FormOf } from "./Forms";
import { snoozed } from "./inbox";
import { Story } from "./Story";
import { Told } from "./Told";
import { Why } from "./Why";

interface CardProps {
  alarm: Alarm;
  episode: { follows: boolean; size: number };
}

export function Card({ alarm, episode }: CardProps) {
  const chosen = selectedAlarm.value === alarm.id;
  const technical = alarm.lane === "technical";
  const form = openForm.value?.alarm === alarm.id ? openForm.value.form : null;
  const failure = failures.value.get(alarm.id);
  return (
    <li
      class={`alarm ${technical ? "technical" : alarm.priority} ${alarm.state} ${snoozed(alarm, nowMs.value) ? "snoozed" : ""} ${episode.follows ? "follows" : ""}`}
      data-testid="alarm"
      data-alarm={alarm.id}
      data-patient={alarm.patient}
      data-condition={alarm.condition}
      data-priority={alarm.priority}
      data-state={alarm.state}
      data-selected={chosen}
    >
      <button
        type="button"
        class="what"
        aria-expanded={chosen}
        onClick={() => {
          selectedAlarm.value = chosen ? null : alarm.id;
          openForm.value = null;
        }}
      >
        <PriorityIcon priority={alarm.priority} technical={technical} />
        <span class="text">{alarm.text}</span>
        <span class="since" title={utc(Date.parse(alarm.onset))}>
          {since(alarm.onset)}
        </span>
        <span class="where">
          {where(alarm)}
          {episode.size > 1 && !episode.follows && (
            <span class="episode"> · {episode.size} alarms of one episode</span>
          )}
        </span>
      </button>
      {!chosen && <p class="why">{alarm.reasons.map((r) => r.text).join(" · ")}</p>}
      <Said alarm={alarm} />
      {chosen && <Why alarm={alarm} />}
      <Actions alarm={alarm} chosen={chosen} />
      {form !== null && <FormOf alarm={alarm} form={form} />}
      {failure !== undefined && (
        <p class="error" role="alert">
          {failure}
        </p>
      )}
      {chosen && may("alarm.act") && <Labels alarm={alarm} />}
      {chosen && <Told alarm={alarm} />}
      {chosen && <Story alarm={alarm} />}
    </li>
  );
}

export function where(alarm: Alarm): string {
  if (alarm.subject === "group") return "Many patients";
  const who = beds.value.get(alarm.patient)?.who.value;
  return [who?.bed, who?.name ?? alarm.patient].filter((x) => x !== null && x !== undefined).join(" ");
}

function since(onset: string): string {
  return age(Math.max(0, Math.floor((nowMs.value - Date.parse(onset)) / 1000)));
}

// Who has it, and until when: never hidden, however the alarm is folded.
function Said({ alarm }: { alarm: Alarm }) {
  const now = nowMs.value;
  const lines: string[] = [];
  if (alarm.state === "latched") lines.push("Ended, nobody has seen it yet");
  if (alarm.state === "acknowledged") {
    const at = alarm.acknowledged_at === null ? "" : ` at ${moment(Date.parse(alarm.acknowledged_at), now)}`;
    const until = alarm.acknowledged_until;
    const holds = until ? `, comes back in ${left(Date.parse(until) - now)}` : "";
    lines.push(`Acknowledged by ${alarm.acknowledged_by ?? "somebody"}${at}${holds}`);
  }
  if (alarm.snoozed_until !== null && snoozed(alarm, now)) {
    const by = alarm.snoozed_by ? ` by ${alarm.snoozed_by}` : "";
    const reason = alarm.snoozed_reason ? `: ${alarm.snoozed_reason}` : "";
    lines.push(`Snoozed${by}, ${left(Date.parse(alarm.snoozed_until) - now)} left${reason}`);
  }
  if (alarm.assigned_to !== null)
    lines.push(`Assigned to ${alarm.assigned_to === me.value ? `${me.value} (you)` : alarm.assigned_to}`);
  if (lines.length === 0) return null;
  return (
    <div class="said" data-testid="said">
      {lines.map((line) => (
        <p key={line.slice(0, 8)}>{line}</p>
      ))}
    </div>
  );
}

function Actions({ alarm, chosen }: { alarm: Alarm; chosen: boolean }) {
  const working = busy.value.has(alarm.id);
  const acts = may("alarm.act");
  const open = (form: Form) => () => {
    selectedAlarm.value = alarm.id;
    openForm.value =
      openForm.value?.alarm === alarm.id && openForm.value.form === form ? null : { alarm: alarm.id, form };
  };
  return (
    <div class="actions">
      {acts && alarm.state !== "acknowledged" && (
        <button
          type="button"
          class="ack main"
          onClick={() => void acknowledge(alarm)}
          disabled={working}
          data-testid="acknowledge"
        >
          {working ? "…" : "Acknowledge"}
        </button>
      )}
      {acts && (
        <button type="button" onClick={open("snooze")} disabled={working} data-testid="snooze">
          Snooze
        </button>
      )}
      {acts && chosen && (
        <>
          <button type="button" onClick={open("assign")} disabled={working} data-testid="assign">
            Assign
          </button>
          {policy.value !== null && (
            <button type="button" onClick={open("note")} disabled={working} data-testid="note">
              Note
            </button>
          )}
          {alarm.state !== "latched" && (
            <button
              type="button"
              title="Whoever is next is told at once"
              onClick={() => void escalate(alarm)}
              disabled={working}
              data-testid="escalate"
            >
              Escalate
            </button>
          )}
          <button type="button" onClick={open("resolve")} disabled={working} data-testid="resolve">
            Resolve
          </button>
        </>
      )}
      {alarm.subject !== "group" && (
        <button
          type="button"
          class="to-patient"
          onClick={() => (openPatient.value = alarm.patient)}
          data-testid="to-patient"
        >
          Patient
        </button>
      )}
    </div>
  );
}

const LABELS: readonly [LabelName, string][] = [
  ["actionable", "Was right"],
  ["false_alarm", "False alarm"],
  ["artefact", "Artefact"],
];

// One tap, no question: it helps those who tune the rules, and can be changed by another tap.
function Labels({ alarm }: { alarm: Alarm }) {
  return (
    <fieldset class="labels">
      <legend>What was it worth?</legend>
      {LABELS.map(([name, text]) => (
        <button
          key={name}
          type="button"
          aria-pressed={alarm.label === name}
          disabled={busy.value.has(alarm.id)}
          onClick={() => void label(alarm, name)}
          data-testid={`label-${name}`}
        >
          {text}
        </button>
      ))}
    </fieldset>
  );
}
