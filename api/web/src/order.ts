// The order of beds on the wall. Pure: the wall asks, nothing here knows the screen.

import type { Alarm, Priority } from "./types";
import { collator } from "./words";

export interface Placed {
  id: string;
  bed: string;
  worst: Priority | null; // of its open physiological and technical alarms, acknowledged ones left out
  acknowledged: boolean; // has open alarms, all of them acknowledged
  sinceMs?: number | null; // when the first of the most urgent ones began
  score: number | null;
}

export type Mode = "risk" | "bed";

const RANK: Record<Priority, number> = { high: 3, medium: 2, low: 1 };

export function byPriority(a: Alarm, b: Alarm): number {
  const open = Number(b.state !== "acknowledged") - Number(a.state !== "acknowledged");
  if (open !== 0) return open;
  const rank = RANK[b.priority] - RANK[a.priority];
  if (rank !== 0) return rank;
  const lane = Number(a.lane === "technical") - Number(b.lane === "technical");
  return lane !== 0 ? lane : Date.parse(b.raised) - Date.parse(a.raised);
}

export function order(patients: readonly Placed[], mode: Mode): string[] {
  const compare =
    mode === "bed"
      ? byBed
      : (a: Placed, b: Placed) =>
          urgency(b) - urgency(a) ||
          Math.round(b.score ?? 0) - Math.round(a.score ?? 0) ||
          (a.sinceMs ?? 0) - (b.sinceMs ?? 0) ||
          byBed(a, b);
  return [...patients].sort(compare).map((p) => p.id);
}

function urgency(p: Placed): number {
  return p.worst ? RANK[p.worst] * 2 : p.acknowledged ? 1 : 0;
}

function byBed(a: Placed, b: Placed): number {
  return collator.compare(a.bed, b.bed) || collator.compare(a.id, b.id);
}

export const HOLD_MS = 10_000;

// While someone points at the wall nothing may jump: the old order stays until the pointer has rested for `holdMs`.
// Beds that are new come last, beds that are gone leave at once.
export function held(
  current: readonly string[],
  wanted: readonly string[],
  pointerMs: number,
  nowMs: number,
  holdMs: number = HOLD_MS,
): readonly string[] {
  if (nowMs - pointerMs >= holdMs) return same(current, wanted) ? current : wanted;
  const here = new Set(wanted);
  const kept = current.filter((id) => here.has(id));
  const known = new Set(kept);
  const merged = [...kept, ...wanted.filter((id) => !known.has(id))];
  return same(current, merged) ? current : merged;
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
