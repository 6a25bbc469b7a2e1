import { describe, expect, it } from "vitest";
import { age, shown } from "../src/stale";

const at = (
  value: number | null,
  timeMs: number,
  quality: "good" | "questionable" | "bad" | "not_worn" = "good",
) => ({
  value,
  timeMs,
  quality,
});

describe("what may be shown of a value", () => {
  it("a current value is shown with its age", () => {
    expect(shown(at(86.4, 1_000), 4_000, 15, 0)).toEqual({
      kind: "value",
      text: "86",
      rounded: 86,
      ageS: 3,
      questionable: false,
    });
  });
  it("a value past its expiry is never shown as a number", () => {
    expect(shown(at(86, 1_000), 1_000 + 16_000, 15, 0)).toEqual({ kind: "stale", ageS: 16 });
  });
  it("ages by itself: no new message is needed", () => {
    const value = at(86, 0 + 1);
    expect(shown(value, 15_001, 15, 0).kind).toBe("value");
    expect(shown(value, 16_001, 15, 0).kind).toBe("stale");
  });
  it.each([
    ["bad", "not plausible"],
    ["not_worn", "sensor off"],
  ] as const)("quality %s is words, not a number", (quality, words) => {
    expect(shown(at(12, 1_000, quality), 2_000, 15, 0)).toEqual({ kind: "invalid", words, ageS: 1 });
  });
  it.each([null, Number.NaN, Number.POSITIVE_INFINITY])("%s is no value", (value) => {
    expect(shown(at(value, 1_000), 2_000, 15, 0).kind).toBe("invalid");
  });
  it("nothing measured is said so", () => {
    expect(shown(undefined, 0, 15, 0)).toEqual({ kind: "none" });
  });
  it("ages are words", () => {
    expect([59, 60, 3599, 3600, 90_000].map(age)).toEqual(["59 s", "1 min", "59 min", "1 h", "1 d"]);
  });
});
