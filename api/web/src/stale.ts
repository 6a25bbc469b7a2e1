// How old a value is and what may be shown of it. The rule of the screen: a number that is not current is not shown.

import type { Quality } from "./types";

export type Shown =
  | { kind: "value"; text: string; ageS: number; questionable: boolean }
  | { kind: "stale"; ageS: number }
  | { kind: "invalid"; words: string; ageS: number }
  | { kind: "none" };

export interface Measured {
  value: number | null;
  timeMs: number;
  quality: Quality;
}

const WORDS: Record<"bad" | "not_worn", string> = { bad: "not plausible", not_worn: "sensor off" };

export function shown(
  measured: Measured | undefined,
  nowMs: number,
  expiryS: number,
  decimals: number,
): Shown {
  if (measured === undefined || measured.timeMs <= 0) return { kind: "none" };
  const ageS = Math.max(0, Math.floor((nowMs - measured.timeMs) / 1000));
  if (ageS > expiryS) return { kind: "stale", ageS };
  if (measured.quality === "bad" || measured.quality === "not_worn")
    return { kind: "invalid", words: WORDS[measured.quality], ageS };
  if (measured.value === null || !Number.isFinite(measured.value))
    return { kind: "invalid", words: "no value", ageS };
  return {
    kind: "value",
    text: measured.value.toFixed(decimals),
    ageS,
    questionable: measured.quality === "questionable",
  };
}

export function age(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
