// Everything that happened to a patient in a stretch of time, newest first: alarms, what people observed, and their notes.

import { metrics, nowMs } from "../store";
import { moment, utc } from "../times";
import { named, w } from "../words";
import type { History } from "./history";
import { words } from "./observed";
import { type Happening, happenings } from "./timeline";

export function Timeline({ history }: { history: History }) {
  const found = happenings(history.alarms, history.observations, history.from, history.to);
  if (found.length === 0) return <p class="quiet">{w.timeline.nothing}</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="table-box" tabIndex={0} aria-label={w.timeline.title}>
      <ol class="timeline" data-testid="timeline">
        {found.map((h) => (
          <li key={h.key} data-kind={h.kind}>
            <time dateTime={new Date(h.atMs).toISOString()} title={utc(h.atMs)}>
              {moment(h.atMs, nowMs.peek())}
            </time>
            <span class={`dot ${tone(h)}`} aria-hidden="true" />
            <Told happening={h} />
          </li>
        ))}
      </ol>
    </section>
  );
}

function tone(h: Happening): string {
  if (h.kind === "observation") return "observation";
  return h.alarm.lane === "technical" ? "technical" : h.alarm.priority;
}

function Told({ happening: h }: { happening: Happening }) {
  if (h.kind === "observation")
    return (
      <span>
        {words(h.observation, metrics.value)}
        {h.observation.note !== null && <q class="note-words">{h.observation.note}</q>}
        <small> {w.observe.by(h.observation)}</small>
      </span>
    );
  if (h.kind === "seen")
    return (
      <span>
        {h.alarm.text}{" "}
        <small>{w.timeline.acknowledgedBy({ by: h.alarm.acknowledged_by ?? w.common.somebody })}</small>
      </span>
    );
  if (h.kind === "over")
    return (
      <span>
        {h.alarm.text} <small>{w.timeline.over}</small>
      </span>
    );
  return (
    <span>
      <strong>{h.alarm.text}</strong>{" "}
      <small>
        {h.alarm.state === "inhibited" && w.timeline.heldBack}
        {h.alarm.state === "retrospective" && w.timeline.foundLate}
        {h.alarm.label !== null &&
          ` ${w.timeline.labelled({ label: named(w.common.labels, h.alarm.label) })}`}
      </small>
    </span>
  );
}
