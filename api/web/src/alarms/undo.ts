// What was done last on this screen, and can be taken back for as long as the server allows. A newer act takes its place; where
// something else has happened to an alarm since, there is nothing to take back.

import { computed, signal } from "@preact/signals";
import * as api from "../api";
import { alarms, policy } from "../store";
import type { Alarm } from "../types";
import { w } from "../words";
import { act } from "./acting";

export interface Done {
  what: string;
  alarms: readonly Alarm[]; // as they were after it
  untilMs: number; // monotonic
}

const newest = signal<Done | null>(null);
export const outcome = signal<string | null>(null); // words of what was not taken back

// `sinceMs`: when the first of them may have been done.
export function offer(what: string, done: readonly Alarm[], sinceMs: number = performance.now()): void {
  const seconds = policy.peek()?.undo_seconds ?? 0;
  outcome.value = null;
  newest.value = done.length === 0 ? null : { what, alarms: done, untilMs: sinceMs + seconds * 1000 };
  window.setTimeout(forget, Math.max(0, sinceMs + seconds * 1000 - performance.now()) + 50);
}

function forget(): void {
  if ((newest.peek()?.untilMs ?? 0) <= performance.now()) newest.value = null;
}

export const undoable = computed<Done | null>(() => {
  const done = newest.value;
  if (done === null) return null;
  const still = remaining(done.alarms, alarms.value);
  return still.length === 0 ? null : { ...done, alarms: still };
});

// Those to which nothing has happened since. One that ended with it is over: that is not taken back.
export function remaining(done: readonly Alarm[], known: ReadonlyMap<string, Alarm>): readonly Alarm[] {
  return done.filter((a) => known.get(a.id)?.version === a.version);
}

export async function takeBack(): Promise<void> {
  const done = undoable.peek();
  newest.value = null;
  if (done === null || done.untilMs <= performance.now()) return;
  let refused = 0;
  for (const alarm of done.alarms) if ((await act(alarm, () => api.undo(alarm))) === null) refused += 1;
  const all = done.alarms.length;
  outcome.value = refused === 0 ? null : w.inbox.takenBack({ done: all - refused, all });
}
