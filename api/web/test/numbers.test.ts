// A page in a language with another decimal mark.

import { beforeAll, expect, it, vi } from "vitest";
import type { LimitRow } from "../src/types";

vi.mock("../src/words/languages", async (original) => {
  const { languages } = await original<typeof import("../src/words/languages")>();
  return { languages: { ...languages, de: languages.en } };
});

let numbers: typeof import("../src/numbers");
let limits: typeof import("../src/patient/limits");
let words: typeof import("../src/words");

beforeAll(async () => {
  vi.stubGlobal("navigator", { languages: ["fr", "de-CH", "en"] });
  numbers = await import("../src/numbers");
  limits = await import("../src/patient/limits");
  words = await import("../src/words");
});

it("is the first that the browser asks for and the page has", () => {
  expect(words.language).toBe("de");
});

it("has its decimal mark, and the digits and the rounding of every other", () => {
  expect(numbers.fixed(36.84, 1)).toBe("36,8");
  expect(numbers.fixed(1.005, 2)).toBe(`1,${(1.005).toFixed(2).slice(2)}`);
  expect(numbers.fixed(-0.04, 1)).toBe("-0,0");
  expect(numbers.fixed(86, 0)).toBe("86");
  expect(numbers.precise(0.0312, 2)).toBe("0,031");
  expect(numbers.plain(2.5)).toBe("2,5");
  expect(numbers.grouped(12_345.6, 1)).toBe("12.345,6");
});

it("reads limits back as it wrote them", () => {
  const row: LimitRow = {
    rule: "temperature_high",
    metric: "temperature",
    label: "Temp",
    unit: "Cel",
    decimals: 1,
    direction: "high",
    priority: "medium",
    critical_priority: "high",
    onset_s: 15,
    critical_onset_s: 5,
    lowest: 30,
    highest: 45,
    everybody: { limit: 38.5, critical: 39.5 },
    own: null,
  };
  const draft = limits.start([row]);
  expect(draft.temperature_high).toEqual({ limit: "38,5", critical: "39,5" });
  expect(limits.read([row], draft)).toEqual({ own: {}, changed: [], wrong: {} });
});
