// What each model says now of one patient, for people to read.

import { fixed, precise } from "./numbers";
import type { Score } from "./types";
import { named, w } from "./words";

const SHADOW = ".shadow";

// The newest score of each model, by name. A shadow's stand behind the others.
export function newest(scores: readonly Score[]): Score[] {
  const found = new Map<string, Score>();
  for (const score of scores) {
    const known = found.get(score.model);
    if (known === undefined || score.window_end >= known.window_end) found.set(score.model, score);
  }
  return [...found.values()].sort(
    (a, b) => Number(isShadow(a)) - Number(isShadow(b)) || a.model.localeCompare(b.model),
  );
}

export function isShadow(score: Score): boolean {
  return score.model.endsWith(SHADOW);
}

export function modelName(score: Score): string {
  return score.model.replace(SHADOW, "").replaceAll("_", " ");
}

// Two digits that count: scores of models are small probabilities or sums of deviations.
export function scoreText(score: Score): string {
  if (score.status !== "ok" || score.score === null) return named(w.models.scores, score.status);
  return Math.abs(score.score) >= 1 || score.score === 0 ? fixed(score.score, 1) : precise(score.score, 2);
}
