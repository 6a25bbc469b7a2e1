// What the inbox shows and in which order. Pure: the clock and the alarms are arguments.

import { byPriority } from "../order";
import type { Alarm } from "../types";

export type Shelf = "all" | "waiting" | "mine";

// Somebody has put it off for a while; the time is in the server's clock.
export function snoozed(alarm: Alarm, nowMs: number): boolean {
  return alarm.snoozed_until !== null && Date.parse(alarm.snoozed_until) > nowMs;
}

// It asks for somebody now: not yet acknowledged, and not put off.
export function waits(alarm: Alarm, nowMs: number): boolean {
  return alarm.state !== "acknowledged" && !snoozed(alarm, nowMs);
}

export function sorted(alarms: Iterable<Alarm>, nowMs: number): Alarm[] {
  return [...alarms].sort((a, b) => Number(waits(b, nowMs)) - Number(waits(a, nowMs)) || byPriority(a, b));
}

// Alarms of one episode stand together, where the first of them stands; nothing else moves.
export function together(list: readonly Alarm[]): Alarm[] {
  const episodes = new Map<string, Alarm[]>();
  const found: Alarm[][] = [];
  for (const alarm of list) {
    const id = alarm.episode ?? null;
    const group = id === null ? undefined : episodes.get(id);
    if (group !== undefined) group.push(alarm);
    else {
      const begun = [alarm];
      if (id !== null) episodes.set(id, begun);
      found.push(begun);
    }
  }
  return found.flat();
}

// Of a card in the list: whether it follows another of its episode, and how many the episode has here.
export function episodeOf(
  list: readonly (Alarm | undefined)[],
  at: number,
): { follows: boolean; size: number } {
  const id = list[at]?.episode ?? null;
  if (id === null) return { follows: false, size: 1 };
  return {
    follows: at > 0 && list[at - 1]?.episode === id,
    size: list.filter((a) => a?.episode === id).length,
  };
}

export interface Question {
  shelf: Shelf;
  words: string;
  me: string;
}

// `said` holds the words an alarm may be found by: bed, name, unit of its patient.
export function asked(alarm: Alarm, question: Question, said: string, nowMs: number): boolean {
  if (question.shelf === "waiting" && !waits(alarm, nowMs)) return false;
  if (question.shelf === "mine" && alarm.assigned_to !== question.me) return false;
  const words = question.words.toLowerCase().split(/\s+/).filter(Boolean);
  const text = `${said} ${alarm.text} ${alarm.assigned_to ?? ""}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

// Acknowledging many at once: what may be ticked for a person, and what they must tick themselves. An alarm of high priority, and
// one that has ended unseen, is looked at by itself.
export function ticked(alarm: Alarm): boolean {
  return alarm.priority !== "high" && alarm.state === "active";
}

// Where the keyboard goes from `chosen`, one step down or up; from nothing to the first.
export function step(ids: readonly string[], chosen: string | null, by: 1 | -1): string | null {
  const at = chosen === null ? -1 : ids.indexOf(chosen);
  if (at === -1) return ids[0] ?? null;
  return ids[Math.min(Math.max(at + by, 0), ids.length - 1)] ?? null;
}

export const SNOOZE_MINUTES = [5, 10, 15, 30] as const;
