import { describe, expect, it } from "vitest";
import { parts } from "../src/patient/Models";
import { column, csv, digest, joined, rows, valueRange } from "../src/patient/trends";
import { plain } from "../src/Trust";
import { left, tickLabel } from "../src/times";
import { iconOf, titleOf } from "../src/title";
import type { Series } from "../src/types";
import { initials } from "../src/wall/view";

const series = (points: readonly (readonly [number, number | null])[], metric = "spo2"): Series => ({
  metric,
  unit: "%",
  points: points.map(([s, v]) => ({ t: s * 1000, v, min: v === null ? null : v - 1, max: v, q: 0 })),
});

describe("courses", () => {
  it("leave a gap open where nothing was measured", () => {
    const c = column(
      series([
        [0, 97],
        [10, 96],
        [100, 95],
      ]),
      30,
    );
    expect(c.v).toEqual([97, 96, null, 95]);
    expect(c.t[2]).toBeGreaterThan(10);
  });
  it("of two metrics share their times; a missing point of one is no gap", () => {
    const a = column(
      series([
        [0, 1],
        [2, 3],
      ]),
      30,
    );
    const [x, y] = joined(a, column(series([[1, 9]]), 30));
    expect(x.t).toEqual([0, 1, 2]);
    expect(x.v).toEqual([1, undefined, 3]);
    expect(y.v).toEqual([undefined, 9, undefined]);
  });
  it("as a table: newest first, the mean of each row and the extremes behind it", () => {
    const found = rows(
      [
        series([
          [0, 90],
          [30, 92],
          [60, 80],
        ]),
        series([[70, 5]], "x"),
      ],
      0,
      120_000,
      60_000,
    );
    expect(found).toEqual([
      {
        t: 60_000,
        cells: [
          { mean: 80, low: 79, high: 80 },
          { mean: 5, low: 4, high: 5 },
        ],
      },
      { t: 0, cells: [{ mean: 91, low: 89, high: 92 }, null] },
    ]);
  });
  it("as CSV: a gap is empty, and no cell is a formula", () => {
    const text = csv([series([[1, null]])], '=cmd("x")');
    expect(text.split("\r\n")[1]).toBe(`"'=cmd(""x"")",spo2,%,1970-01-01T00:00:01.000Z,,,,good`);
  });
  it("digests to newest, lowest and highest", () => {
    expect(
      digest(
        series([
          [0, 90],
          [1, 95],
          [2, null],
        ]),
      ),
    ).toEqual({ newest: 95, low: 89, high: 95 });
  });
  it("show a limit that is near and not one that would flatten the line", () => {
    const c = column(series([[0, 97]]), 30);
    const limits = { low: 90, high: null, critical_low: null, critical_high: null };
    expect(valueRange(c, limits, 3)[0]).toBeLessThan(90);
    expect(valueRange(c, { ...limits, low: 40 }, 3)[0]).toBeGreaterThan(90);
  });
});

describe("words", () => {
  it("the share of each metric in a score, greatest first, against the patient's own usual", () => {
    const risk = {
      score: 4,
      status: "ok",
      model: "personal_baseline",
      version: "1",
      time: "",
      contributions: { spo2: 1, respiratory_rate: 3, heart_rate: -2 },
      deviations: { respiratory_rate: 9, spo2: -4 },
    } as const;
    const info = (metric: string) => ({ label: metric, decimals: 0, unit: "/min" });
    expect(parts(risk, info).map((p) => [p.metric, p.share, p.off])).toEqual([
      ["respiratory_rate", 0.75, "+9 /min"],
      ["spo2", 0.25, "−4 /min"],
    ]);
  });
  it("times have 24 hours, dates begin with the year, and a new day is named", () => {
    const noon = new Date(2026, 2, 1, 13, 5).getTime();
    expect(tickLabel(noon, noon - 60_000, 300)).toBe("13:05");
    expect(tickLabel(noon, null, 300)).toBe("13:05\n2026-03-01");
    expect(tickLabel(noon, noon - 1000, 5)).toBe("13:05:00");
    expect(left(245_000)).toBe("4:05");
    expect(left(-1)).toBe("0:00");
  });
  it("the title and the icon count what waits", () => {
    expect([titleOf(0), titleOf(3)]).toEqual(["Vigil", "(3) Vigil"]);
    expect([iconOf(0), iconOf(9), iconOf(10)]).toEqual(["/favicon.svg", "/alarms-9.svg", "/alarms-more.svg"]);
  });
  it("a name that a header can carry, and initials for a wall", () => {
    expect(plain(" Zoë Łuk ")).toBe("Zoe uk");
    expect(initials("Anna-Maria de Vries")).toBe("A. M. D. V.");
  });
});
