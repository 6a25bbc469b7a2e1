// One alarm of the inbox. Closed it says what, who and why; chosen it opens to everything that can be done about it.

import { may } from "../access/session";
import { PriorityIcon } from "../icons";
import { age } from "../stale";
import { beds, me, nowMs, openPatient, policy, selectedAlarm } from "../store";
import { left, moment, utc } from "../times";
import type { Alarm, LabelName } from "../types";
import { w } from "../words";
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
            <span class="episode">{` · ${w.inbox.episode({ n: episode.size })}`}</span>
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
  if (alarm.subject === "group") return w.inbox.manyPatients;
  const who = beds.value.get(alarm.patient)?.who.value;
  return [who?.bed, who?.name ?? alarm.patient].filter((x) => x !== null && x !== undefined).join(" ");
}

function since(onset: string): string {
  return age(Math.max(0, Math.floor((nowMs.value - Date.parse(onset)) / 1000)));
}

// Who has it, and until when: never hidden, however the alarm is folded.
function Said({ alarm }: { alarm: Alarm }) {
  const now = nowMs.value;
  const lines: { of: string; text: string }[] = [];
  if (alarm.state === "latched") lines.push({ of: "latched", text: w.inbox.unseen });
  if (alarm.state === "acknowledged") {
    const until = alarm.acknowledged_until;
    lines.push({
      of: "acknowledged",
      text: w.inbox.acknowledged({
        by: alarm.acknowledged_by ?? w.common.somebody,
        at: alarm.acknowledged_at === null ? null : moment(Date.parse(alarm.acknowledged_at), now),
        left: until ? left(Date.parse(until) - now) : null,
      }),
    });
  }
  if (alarm.snoozed_until !== null && snoozed(alarm, now)) {
    lines.push({
      of: "snoozed",
      text: w.inbox.snoozed({
        by: alarm.snoozed_by || null,
        left: left(Date.parse(alarm.snoozed_until) - now),
        reason: alarm.snoozed_reason || null,
      }),
    });
  }
  if (alarm.assigned_to !== null)
    lines.push({
      of: "assigned",
      text:
        alarm.assigned_to === me.value
          ? w.inbox.assignedToMe({ me: me.value })
          : w.inbox.assignedTo({ to: alarm.assigned_to }),
    });
  if (lines.length === 0) return null;
  return (
    <div class="said" data-testid="said">
      {lines.map(({ of, text }) => (
        <p key={of}>{text}</p>
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
          {working ? w.inbox.working : w.inbox.acknowledge}
        </button>
      )}
      {acts && (
        <button type="button" onClick={open("snooze")} disabled={working} data-testid="snooze">
          {w.inbox.snooze}
        </button>
      )}
      {acts && chosen && (
        <>
          <button type="button" onClick={open("assign")} disabled={working} data-testid="assign">
            {w.inbox.assign}
          </button>
          {policy.value !== null && (
            <button type="button" onClick={open("note")} disabled={working} data-testid="note">
              {w.inbox.note}
            </button>
          )}
          {alarm.state !== "latched" && (
            <button
              type="button"
              title={w.inbox.escalateHint}
              onClick={() => void escalate(alarm)}
              disabled={working}
              data-testid="escalate"
            >
              {w.inbox.escalate}
            </button>
          )}
          <button type="button" onClick={open("resolve")} disabled={working} data-testid="resolve">
            {w.inbox.resolve}
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
          {w.inbox.toPatient}
        </button>
      )}
    </div>
  );
}

const LABELS: readonly LabelName[] = ["actionable", "false_alarm", "artefact"];

// One tap, no question: it helps those who tune the rules, and can be changed by another tap.
function Labels({ alarm }: { alarm: Alarm }) {
  return (
    <fieldset class="labels">
      <legend>{w.inbox.worth}</legend>
      {LABELS.map((name) => (
        <button
          key={name}
          type="button"
          aria-pressed={alarm.label === name}
          disabled={busy.value.has(alarm.id)}
          onClick={() => void label(alarm, name)}
          data-testid={`label-${name}`}
        >
          {w.inbox.labels[name]}
        </button>
      ))}
    </fieldset>
  );
}
