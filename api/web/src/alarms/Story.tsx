// Everything that happened to an alarm: who, when, and in their words.

import { getAlarm } from "../api";
import { Panel, useAsked } from "../panel";
import { nowMs } from "../store";
import { moment, utc } from "../times";
import type { Alarm, AlarmEvent } from "../types";
import { named, w } from "../words";

export function Story({ alarm }: { alarm: Alarm }) {
  const asked = useAsked(`story ${alarm.id} ${alarm.version}`, () => getAlarm(alarm.id), 0);
  return (
    <Panel asked={asked} thing={w.things.past}>
      {(detail) => (
        <ol class="story" data-testid="story" aria-label={w.story.title}>
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
function takenBack(event: AlarmEvent): keyof typeof w.story.takenBack | null {
  if (event.actor === null) return null;
  if (event.change === "lapsed" || event.change === "resumed") return event.change;
  if (event.change === "assigned" && event.to === "") return event.change;
  return event.change === "labelled" && event.note === null ? event.change : null;
}

export function told(event: AlarmEvent): string {
  const back = takenBack(event);
  if (back !== null) return w.story.takenBack[back]({ by: event.actor ?? "" });
  const to = event.to ?? (event.change === "assigned" ? event.note : null);
  return w.story.happened({
    what: named(w.story.changes, event.change),
    to,
    by: event.actor,
    until: event.until === null ? null : moment(Date.parse(event.until), Date.parse(event.at)),
    note: event.note === null || event.note === to ? null : named(w.story.labels, event.note),
  });
}
