// What a person can do about an alarm.

import { signal } from "@preact/signals";
import * as api from "../api";
import type { Alarm, LabelName } from "../types";
import { w } from "../words";
import { act } from "./acting";
import { offer } from "./undo";

export type Form = "snooze" | "assign" | "note" | "resolve";
export const openForm = signal<{ alarm: string; form: Form } | null>(null);

// What can be taken back says what it was; the rest is said by the alarm itself.
async function undoable(alarm: Alarm, what: string, doing: () => Promise<Alarm>): Promise<boolean> {
  const after = await act(alarm, doing);
  if (after !== null) offer(what, [after]);
  return after !== null;
}

async function final(alarm: Alarm, doing: () => Promise<Alarm>): Promise<boolean> {
  return (await act(alarm, doing)) !== null;
}

export const acknowledge = (alarm: Alarm): Promise<boolean> =>
  undoable(alarm, w.inbox.did.acknowledged, () => api.acknowledge(alarm));
export const snooze = (alarm: Alarm, minutes: number, reason: string): Promise<boolean> =>
  undoable(alarm, w.inbox.did.snoozed({ minutes }), () => api.snooze(alarm, minutes, reason));
export const assign = (alarm: Alarm, to: string): Promise<boolean> =>
  undoable(alarm, w.inbox.did.assigned({ to }), () => api.assign(alarm, to));
export const label = (alarm: Alarm, name: LabelName): Promise<boolean> =>
  undoable(alarm, w.inbox.did.labelled, () => api.label(alarm, name));
export const escalate = (alarm: Alarm): Promise<boolean> => final(alarm, () => api.escalate(alarm));
export const note = (alarm: Alarm, text: string): Promise<boolean> =>
  final(alarm, () => api.note(alarm, text));
export const resolve = (alarm: Alarm, reason: string): Promise<boolean> =>
  final(alarm, () => api.resolve(alarm, reason));

// Those that are still as this person saw them, one after the other; taken back together. How many were not acknowledged.
export async function acknowledgeAll(list: readonly Alarm[]): Promise<number> {
  const beganMs = performance.now();
  const done: Alarm[] = [];
  for (const alarm of list) {
    const after = await act(alarm, () => api.acknowledge(alarm, true));
    if (after !== null) done.push(after);
  }
  offer(w.inbox.did.acknowledged, done, beganMs);
  return list.length - done.length;
}
