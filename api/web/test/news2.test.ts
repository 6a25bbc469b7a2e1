import { describe, expect, it } from "vitest";
import { type Known, news2, points } from "../src/news2";
import golden from "./news2.json";

const NOW = 1_772_359_200_000;
const of = (values: Record<string, number | [number, number]>) =>
  news2((metric): Known | null => {
    const found = values[metric];
    if (found === undefined) return null;
    return Array.isArray(found)
      ? { value: found[0], timeMs: NOW - found[1] * 60_000 }
      : { value: found, timeMs: NOW };
  }, NOW);

const WELL = {
  respiratory_rate: 16,
  spo2: 97,
  inhaled_oxygen: 21,
  systolic_bp: 120,
  heart_rate: 70,
  consciousness: 0,
  temperature: 36.8,
};

describe("NEWS2", () => {
  it("has the points that the server's table has, over the whole range and its half steps", () => {
    for (const [metric, rows] of Object.entries(golden))
      for (const [value, expected] of rows as [number, number][])
        expect(`${metric} ${value}: ${points(metric, value)}`).toBe(`${metric} ${value}: ${expected}`);
  });
  it("is 0 and low when everything is known and well", () => {
    expect(of(WELL)).toMatchObject({ total: 0, known: 7, risk: "low" });
  });
  it("says that it is not known when parts are missing, and never calls that low", () => {
    const { consciousness: _, ...rest } = WELL;
    expect(of(rest)).toMatchObject({ total: 0, known: 6, risk: "unknown" });
    expect(of({})).toMatchObject({ total: 0, known: 0, risk: "unknown" });
  });
  it("does not count a value that is too old, and still says how old it is", () => {
    const part = of({ ...WELL, spo2: [80, 6] }).parts.find((p) => p.metric === "spo2");
    expect(part).toMatchObject({ points: null, text: null, ageMs: 6 * 60_000 });
  });
  it("is high from 7, medium from 5, and a single 3 is not low", () => {
    expect(of({ ...WELL, respiratory_rate: 26, spo2: 91, heart_rate: 95 }).risk).toBe("high");
    expect(of({ ...WELL, respiratory_rate: 26, spo2: 93 }).risk).toBe("medium");
    expect(of({ ...WELL, respiratory_rate: 26 }).risk).toBe("low-medium");
  });
  it("counts oxygen by either measure, and air only where nothing contradicts", () => {
    const oxygen = (values: Record<string, number>) =>
      of(values).parts.find((p) => p.metric === "oxygen")?.points;
    expect(oxygen({})).toBeNull();
    expect(oxygen({ inhaled_oxygen: 21 })).toBe(0);
    expect(oxygen({ oxygen_flow: 2 })).toBe(2);
    expect(oxygen({ inhaled_oxygen: 21, oxygen_flow: 2 })).toBe(2);
  });
});
