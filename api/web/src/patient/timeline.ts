// What happened to a patient, in the order of time. Pure.

import type { Alarm, Observation } from "../types";

export type Happening =
  | { kind: "alarm" | "seen" | "over"; key: string; atMs: number; alarm: Alarm }
  | { kind: "observation"; key: string; atMs: number; observation: Observation };

const MOST = 500;

// Newest first; of an alarm its beginning, who has seen it, and its end, as far as they lie in the stretch.
export function happenings(
  alarms: readonly Alarm[],
  observations: readonly Observation[],
  fromMs: number,
  toMs: number,
): Happening[] {
  const found: Happening[] = [];
  const within = (text: string | null): number | null => {
    const ms = text === null ? Number.NaN : Date.parse(text);
    return ms >= fromMs && ms <= toMs ? ms : null;
  };
  for (const alarm of alarms)
    for (const [kind, text] of [
      ["alarm", alarm.onset],
      ["seen", alarm.acknowledged_at],
      ["over", alarm.resolved],
    ] as const) {
      const atMs = within(text);
      if (atMs !== null) found.push({ kind, key: `${alarm.id} ${kind}`, atMs, alarm });
    }
  for (const observation of observations) {
    const atMs = within(observation.taken);
    if (atMs !== null)
      found.push({ kind: "observation", key: `observation ${observation.id}`, atMs, observation });
  }
  return found.sort((a, b) => b.atMs - a.atMs).slice(0, MOST);
}
