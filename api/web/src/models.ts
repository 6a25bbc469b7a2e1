// What each model says now of one patient, for people to read.

import type { Score } from "./types";

const SHADOW = ".shadow";
const WORDS: Record<Score["status"], string> = {
  ok: "–",
  not_ready: "learning",
  insufficient: "too little data",
  failed: "no valid answer",
};

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
  if (score.status !== "ok" || score.score === null) return WORDS[score.status];
  return Math.abs(score.score) >= 1 || score.score === 0
    ? score.score.toFixed(1)
    : score.score.toPrecision(2);
}
