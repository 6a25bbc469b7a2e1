import { describe, expect, it } from "vitest";
import { read, start } from "../src/patient/limits";
import { byMetric } from "../src/patient/own";
import type { LimitRow } from "../src/types";

const row = (part: Partial<LimitRow>): LimitRow => ({
  rule: "spo2_low",
  metric: "spo2",
  label: "SpO2",
  unit: "%",
  decimals: 0,
  direction: "low",
  priority: "medium",
  critical_priority: "high",
  onset_s: 15,
  critical_onset_s: 5,
  lowest: 30,
  highest: 100,
  everybody: { limit: 90, critical: 80 },
  own: null,
  ...part,
});
const rate = (direction: "low" | "high", limit: number): LimitRow =>
  row({
    rule: `heart_rate_${direction}`,
    metric: "heart_rate",
    direction,
    lowest: 10,
    highest: 350,
    everybody: { limit, critical: null },
  });
const rows = [row({}), rate("low", 50), rate("high", 120)];

describe("a draft of limits", () => {
  it("that changes nothing asks for nothing", () => {
    expect(read(rows, start(rows))).toEqual({ own: {}, changed: [], wrong: {} });
  });
  it("holds only what differs from everybody's; taking an own limit back is a change too", () => {
    const own = row({ own: { limit: 86, critical: 80 } });
    const draft = start([own]);
    expect(read([own], draft)).toEqual({
      own: { spo2_low: { limit: 86, critical: 80 } },
      changed: [],
      wrong: {},
    });
    draft.spo2_low = { limit: "90", critical: "80" };
    expect(read([own], draft)).toEqual({ own: {}, changed: ["spo2_low"], wrong: {} });
    draft.spo2_low = { limit: "88,5", critical: "" };
    expect(read([own], draft).own).toEqual({ spo2_low: { limit: 88.5, critical: null } });
  });
  it.each([
    ["spo2_low", "", "", "a number"],
    ["spo2_low", "20", "", "30 to 100"],
    ["spo2_low", "85", "88", "below"],
    ["heart_rate_high", "45", "", "above the low limit of 50"],
  ])("%s at %s, urgent %s, is wrong", (rule, limit, critical, reason) => {
    const found = read(rows, { ...start(rows), [rule]: { limit, critical } });
    expect(found.wrong[rule]).toContain(reason);
  });
  it("draws the limits that hold", () => {
    const found = byMetric({
      patient: "p",
      version: 1,
      author: null,
      reason: null,
      at: null,
      items: [row({ own: { limit: 86, critical: null } }), rate("high", 120)],
    });
    expect(found.get("spo2")).toMatchObject({ low: 86, critical_low: null });
    expect(found.get("heart_rate")).toMatchObject({ high: 120, low: null });
  });
});
