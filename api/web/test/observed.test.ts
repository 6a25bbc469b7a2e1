import { describe, expect, it } from "vitest";
import { checked, EMPTY, type Form, lastAt, words } from "../src/patient/observed";
import type { Metric, Observation } from "../src/types";

const none = { low: null, high: null, critical_low: null, critical_high: null };
const metric = (name: string, label: string, unit: string, decimals: number): [string, Metric] => [
  name,
  { name, label, loinc: null, unit, decimals, expiry_s: 900, cadence_s: 1, limits: none },
];
const metrics = new Map([
  metric("consciousness", "ACVPU", "{ACVPU}", 0),
  metric("oxygen_flow", "O2 flow", "L/min", 1),
  metric("inhaled_oxygen", "FiO2", "%", 0),
  metric("systolic_bp", "SYS", "mm[Hg]", 0),
  metric("diastolic_bp", "DIA", "mm[Hg]", 0),
  metric("temperature", "Temp", "Cel", 1),
]);
const NOW = new Date(2026, 2, 1, 10, 0).getTime();
const form = (part: Partial<Form>): Form => ({ ...EMPTY, ...part });

describe("an observation", () => {
  it("is values in the units of the catalogue; a comma is a decimal point", () => {
    const found = checked(
      form({ consciousness: "1", values: { temperature: "36,8", systolic_bp: "118" }, note: " sat up " }),
      metrics,
      NOW,
    );
    expect(found).toEqual({
      ok: true,
      body: {
        readings: [
          { metric: "consciousness", value: 1, unit: "{ACVPU}" },
          { metric: "systolic_bp", value: 118, unit: "mm[Hg]" },
          { metric: "temperature", value: 36.8, unit: "Cel" },
        ],
        note: "sat up",
      },
    });
  });
  it("of air says so by both measures, so that an older flow counts no more", () => {
    const found = checked(form({ oxygen: "air" }), metrics, NOW);
    expect(found.ok && found.body.readings.map((r) => [r.metric, r.value])).toEqual([
      ["oxygen_flow", 0],
      ["inhaled_oxygen", 21],
    ]);
  });
  it.each([
    [form({}), "note"],
    [form({ oxygen: "flow" }), "amount"],
    [form({ oxygen: "flow", amount: "0" }), "amount"],
    [form({ values: { temperature: "warm" } }), "temperature"],
    [form({ values: { systolic_bp: "80", diastolic_bp: "120" } }), "diastolic_bp"],
  ])("with something wrong names the field", (given, field) => {
    expect(checked(given, metrics, NOW)).toMatchObject({ ok: false, field });
  });
  it("taken at a time of day is the newest such moment", () => {
    expect(NOW - lastAt("09:30", NOW)).toBe(30 * 60_000);
    expect(NOW - lastAt("23:00", NOW)).toBe(11 * 3_600_000);
    expect(lastAt("930", NOW)).toBe(lastAt("9.30", NOW));
    expect(checked(form({ note: "x", taken: "25:00" }), metrics, NOW)).toMatchObject({ field: "taken" });
  });
  it("reads as people say it", () => {
    const observation: Observation = {
      id: 1,
      patient: "p",
      author: "n.berg",
      taken: "2026-03-01T10:00:00Z",
      recorded: "2026-03-01T10:00:00Z",
      readings: [
        { metric: "consciousness", value: 0, unit: "{ACVPU}" },
        { metric: "oxygen_flow", value: 2, unit: "L/min" },
        { metric: "systolic_bp", value: 118, unit: "mm[Hg]" },
        { metric: "diastolic_bp", value: 70, unit: "mm[Hg]" },
        { metric: "temperature", value: 36.8, unit: "Cel" },
      ],
      note: null,
      device: "manual-entry",
    };
    expect(words(observation, metrics)).toBe("Alert · Oxygen 2 L/min · BP 118/70 mmHg · Temp 36.8 °C");
  });
});
