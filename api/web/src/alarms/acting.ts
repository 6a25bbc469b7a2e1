// One change by a person: the server decides, the page shows what it answered at once, and says why when it refuses.

import { signal } from "@preact/signals";
import { ApiError } from "../api";
import { takeAlarm } from "../store";
import type { Alarm } from "../types";
import { w } from "../words";

export const busy = signal<ReadonlySet<string>>(new Set());
export const failures = signal<ReadonlyMap<string, string>>(new Map());

// The alarm after it, null where it was not done. A refusal stays beside the alarm until the next try.
export async function act(alarm: Alarm, doing: () => Promise<Alarm>): Promise<Alarm | null> {
  if (busy.peek().has(alarm.id)) return null;
  busy.value = new Set(busy.peek()).add(alarm.id);
  say(alarm.id, null);
  try {
    const after = await doing();
    takeAlarm(after);
    return after;
  } catch (error) {
    say(alarm.id, error instanceof ApiError ? error.message : w.common.notDone);
    return null;
  } finally {
    const rest = new Set(busy.peek());
    rest.delete(alarm.id);
    busy.value = rest;
  }
}

function say(id: string, words: string | null): void {
  const next = new Map(failures.peek());
  if (words === null) next.delete(id);
  else next.set(id, words);
  failures.value = next;
}
