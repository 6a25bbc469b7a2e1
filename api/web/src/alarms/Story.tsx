// Everything that happened to an alarm: who, when, and in their words.

import { getAlarm } from "../api";
import { Panel, useAsked } from "../panel";
import { nowMs } from "../store";
import { moment, utc } from "../times";
import type { Alarm, AlarmEvent } from "../types";

const CHANGES: Record<string, string> = {
  raised: "Raised",
  worsened: "Worse",
  cleared: "Condition ended",
  acknowledged: "Acknowledged",
  resolved: "Resolved",
  snoozed: "Snoozed",
  assigned: "Assigned",
  escalated: "Help called for",
  labelled: "Labelled",
  inhibited: "Held back behind another alarm",
  released: "No longer held back",
  found: "Found in late data",
  lapsed: "Acknowledgement ran out",
  resumed: "Snooze ran out",
  broken: "Now beyond the opposite limit",
  handed_over: "Handed over",
  noted: "Note",
  closed: "Closed",
};
const LABELS: Record<string, string> = {
  actionable: "was right",
  false_alarm: "false alarm",
  artefact: "artefact",
};

export function Story({ alarm }: { alarm: Alarm }) {
  const asked = useAsked(`story ${alarm.id} ${alarm.version}`, () => getAlarm(alarm.id), 0);
  return (
    <Panel asked={asked} what="what happened before">
      {(detail) => (
        <ol class="story" data-testid="story" aria-label="What happened to this alarm">
          {detail.events.map((event) => (
            <li key={event.event_id} data-change={event.change}>
              <time dateTime={event.at} title={utc(Date.parse(event.at))}>
                {moment(Date.parse(event.at), nowMs.peek())}
              </time>{" "}
              {told(event)}
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}

// The system ends a quiet time when it is over; a person ends it, an assignment or a label by taking it back.
function takenBack(event: AlarmEvent): string | null {
  if (event.actor === null) return null;
  if (event.change === "lapsed") return "Acknowledgement";
  if (event.change === "resumed") return "Snooze";
  if (event.change === "assigned" && event.to === "") return "Assignment";
  return event.change === "labelled" && event.note === null ? "Label" : null;
}

export function told(event: AlarmEvent): string {
  const back = takenBack(event);
  if (back !== null) return `${back} taken back by ${event.actor}`;
  const what = CHANGES[event.change] ?? event.change;
  const by = event.actor === null ? "" : ` by ${event.actor}`;
  const to = event.to ?? (event.change === "assigned" ? event.note : null);
  const toWhom = to === null ? "" : ` to ${to}`;
  const until = event.until === null ? "" : ` until ${moment(Date.parse(event.until), Date.parse(event.at))}`;
  const words = event.note === null || event.note === to ? "" : `: ${LABELS[event.note] ?? event.note}`;
  return `${what}${toWhom}${by}${until}${words}`;
}
