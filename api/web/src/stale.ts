// How old a value is and what may be shown of it. The rule of the screen: a number that is not current is not shown.

import { marked } from "./numbers";
import type { Quality } from "./types";
import { w } from "./words";

export type Shown =
  | { kind: "value"; text: string; rounded: number; ageS: number; questionable: boolean } // `rounded`: as the text says it
  | { kind: "stale"; ageS: number }
  | { kind: "invalid"; words: string; ageS: number }
  | { kind: "none" };

export interface Measured {
  value: number | null;
  timeMs: number;
  quality: Quality;
}

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
    return { kind: "invalid", words: w.common.unusable[measured.quality], ageS };
  if (measured.value === null || !Number.isFinite(measured.value))
    return { kind: "invalid", words: w.common.noValue, ageS };
  const digits = measured.value.toFixed(decimals);
  return {
    kind: "value",
    text: marked(digits),
    rounded: Number(digits),
    ageS,
    questionable: measured.quality === "questionable",
  };
}

export function age(seconds: number): string {
  if (seconds < 60) return w.time.seconds({ n: seconds });
  if (seconds < 3600) return w.time.minutes({ n: Math.floor(seconds / 60) });
  if (seconds < 86_400) return w.time.hours({ n: Math.floor(seconds / 3600) });
  return w.time.days({ n: Math.floor(seconds / 86_400) });
}
