// The most urgent alarm of a patient in the words of a monitor. What has been acknowledged or put off keeps its colour, as an edge.

import { snoozed } from "../alarms/inbox";
import { PriorityIcon } from "../icons";
import { left } from "../times";
import type { Alarm } from "../types";
import { w } from "../words";

export function AlarmBar({ alarms, now }: { alarms: readonly Alarm[]; now: number }) {
  const first = alarms[0];
  if (first === undefined) return <div class="bar none" />;
  const technical = first.lane === "technical";
  const off = snoozed(first, now);
  return (
    <div
      class={`bar ${technical ? "technical" : first.priority} ${first.state} ${off ? "snoozed" : ""}`}
      data-testid="alarm-bar"
      data-priority={first.priority}
      data-state={first.state}
      title={first.text}
    >
      <PriorityIcon priority={first.priority} technical={technical} />
      <span class="text">{first.text}</span>
      {off && first.snoozed_until !== null && (
        <span class="more" title={w.wall.snoozed}>
          {w.wall.snoozedFor({ left: left(Date.parse(first.snoozed_until) - now) })}
        </span>
      )}
      {!off && alarms.length > 1 && <span class="more">{`+${alarms.length - 1}`}</span>}
    </div>
  );
}
