import { describe, expect, it } from "vitest";
import { isShadow, modelName, newest, scoreText } from "../src/models";
import type { Score } from "../src/types";

function score(model: string, minute: number, more: Partial<Score> = {}): Score {
  return {
    model,
    version: "1",
    window_end: `2026-03-01T10:0${minute}:00.000Z`,
    score: 0.0312,
    status: "ok",
    ...more,
  };
}

describe("what models say now", () => {
  it("is the newest of each, shadows last", () => {
    const found = newest([
      score("b.shadow", 1),
      score("a", 2, { version: "2" }),
      score("a", 1),
      score("personal_baseline", 1),
    ]);
    expect(found.map((s) => [s.model, s.version])).toEqual([
      ["a", "2"],
      ["personal_baseline", "1"],
      ["b.shadow", "1"],
    ]);
  });

  it("names a shadow as one", () => {
    expect(isShadow(score("deep_net.shadow", 1))).toBe(true);
    expect(modelName(score("deep_net.shadow", 1))).toBe("deep net");
  });

  it("shows what is not known as words, never as a number", () => {
    expect(scoreText(score("a", 1))).toBe("0.031");
    expect(scoreText(score("a", 1, { score: 7.25 }))).toBe("7.3");
    expect(scoreText(score("a", 1, { score: null, status: "failed" }))).toBe("no valid answer");
    expect(scoreText(score("a", 1, { score: 0.5, status: "not_ready" }))).toBe("learning");
  });
});
