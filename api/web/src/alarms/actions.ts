// What a person does about an alarm: the server decides, the page shows what it answered at once, and says why when it refuses.

import { signal } from "@preact/signals";
import * as api from "../api";
import { ApiError } from "../api";
import { takeAlarm } from "../store";
import type { Alarm, LabelName } from "../types";

export const busy = signal<ReadonlySet<string>>(new Set());
export const failures = signal<ReadonlyMap<string, string>>(new Map());
export type Form = "snooze" | "assign" | "note" | "resolve";
export const openForm = signal<{ alarm: string; form: Form } | null>(null);

// Whether it was done. A refusal stays beside the alarm until the next try.
async function act(alarm: Alarm, doing: () => Promise<Alarm>): Promise<boolean> {
  if (busy.peek().has(alarm.id)) return false;
  busy.value = new Set(busy.peek()).add(alarm.id);
  say(alarm.id, null);
  try {
    takeAlarm(await doing());
    return true;
  } catch (error) {
    say(alarm.id, error instanceof ApiError ? error.message : "Not done. Try again.");
    return false;
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

export const acknowledge = (alarm: Alarm, seen: boolean = false): Promise<boolean> =>
  act(alarm, () => api.acknowledge(alarm, seen));
export const snooze = (alarm: Alarm, minutes: number, reason: string): Promise<boolean> =>
  act(alarm, () => api.snooze(alarm, minutes, reason));
export const escalate = (alarm: Alarm): Promise<boolean> => act(alarm, () => api.escalate(alarm));
export const assign = (alarm: Alarm, to: string): Promise<boolean> => act(alarm, () => api.assign(alarm, to));
export const label = (alarm: Alarm, name: LabelName): Promise<boolean> =>
  act(alarm, () => api.label(alarm, name));
export const note = (alarm: Alarm, text: string): Promise<boolean> => act(alarm, () => api.note(alarm, text));
export const resolve = (alarm: Alarm, reason: string): Promise<boolean> =>
  act(alarm, () => api.resolve(alarm, reason));
