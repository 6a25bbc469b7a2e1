// What a person observes at the bedside as values of the catalogue, and back into words. Pure.

import { fixed, plain } from "../numbers";
import type { ManualReading, Metric, NewObservation, Observation } from "../types";
import { unitText } from "../wall/units";
import { w } from "../words";

export type Oxygen = "" | "air" | "flow" | "fraction";

// The fields of the form, as typed. Empty: not observed.
export interface Form {
  consciousness: string; // value of ACVPU
  oxygen: Oxygen;
  amount: string; // L/min, or % of what is breathed
  values: Record<string, string>;
  note: string;
  taken: string; // "HH:MM" of the last 24 hours; empty: now
}

export const EMPTY: Form = { consciousness: "", oxygen: "", amount: "", values: {}, note: "", taken: "" };
export const TYPED = [
  "systolic_bp",
  "diastolic_bp",
  "temperature",
  "respiratory_rate",
  "heart_rate",
  "spo2",
  "glucose",
] as const;
const AIR_PERCENT = 21;

export type Checked = { ok: true; body: NewObservation } | { ok: false; field: string; reason: string };

export function checked(form: Form, metrics: ReadonlyMap<string, Metric>, nowMs: number): Checked {
  const readings: ManualReading[] = [];
  const put = (metric: string, value: number) =>
    readings.push({ metric, value, unit: metrics.get(metric)?.unit ?? "" });
  if (form.consciousness !== "") put("consciousness", Number(form.consciousness));
  if (form.oxygen === "air") {
    // Both measures say air: an older flow must not go on counting as oxygen.
    put("oxygen_flow", 0);
    put("inhaled_oxygen", AIR_PERCENT);
  } else if (form.oxygen !== "") {
    const amount = number(form.amount);
    if (amount === null || amount <= 0)
      return {
        ok: false,
        field: "amount",
        reason: form.oxygen === "flow" ? w.observe.flowAbove : w.observe.fractionAbove,
      };
    put(form.oxygen === "flow" ? "oxygen_flow" : "inhaled_oxygen", amount);
  }
  for (const metric of TYPED) {
    const text = (form.values[metric] ?? "").trim();
    if (text === "") continue;
    const value = number(text);
    if (value === null) return { ok: false, field: metric, reason: w.observe.number };
    put(metric, value);
  }
  const upper = number(form.values.systolic_bp ?? "");
  const lower = number(form.values.diastolic_bp ?? "");
  if (upper !== null && lower !== null && lower >= upper)
    return { ok: false, field: "diastolic_bp", reason: w.observe.belowUpper };
  const taken = form.taken.trim();
  if (taken !== "" && !/^([01]?\d|2[0-3])[:.]?[0-5]\d$/.test(taken))
    return { ok: false, field: "taken", reason: w.observe.timeOfDay };
  const note = form.note.trim();
  if (readings.length === 0 && note === "") return { ok: false, field: "note", reason: w.observe.something };
  const body: NewObservation = { readings };
  if (note !== "") body.note = note;
  if (taken !== "") body.taken = new Date(lastAt(taken, nowMs)).toISOString();
  return { ok: true, body };
}

// A comma is a decimal point to many people.
function number(text: string): number | null {
  const trimmed = text.trim().replace(",", ".");
  const value = Number(trimmed);
  return trimmed !== "" && Number.isFinite(value) ? value : null;
}

// The newest moment at this time of day that is not in the future.
export function lastAt(hhmm: string, nowMs: number): number {
  const digits = hhmm.replace(/\D/, "");
  const at = new Date(nowMs);
  at.setHours(Number(digits.slice(0, -2)), Number(digits.slice(-2)), 0, 0);
  return at.getTime() <= nowMs ? at.getTime() : at.getTime() - 86_400_000;
}

// "Alert · Air · BP 118/70 mmHg · Temp 36.8 °C"
export function words(observation: Observation, metrics: ReadonlyMap<string, Metric>): string {
  const by = new Map(observation.readings.map((r) => [r.metric, r.value]));
  const take = (metric: string): number | undefined => {
    const value = by.get(metric);
    by.delete(metric);
    return value;
  };
  const parts: string[] = [];
  const consciousness = take("consciousness");
  if (consciousness !== undefined) parts.push(w.common.consciousness[Math.round(consciousness)] ?? "–");
  const flow = take("oxygen_flow");
  const fraction = take("inhaled_oxygen");
  if (flow !== undefined && flow > 0) parts.push(w.common.oxygenFlow({ amount: plain(flow) }));
  else if (fraction !== undefined && fraction > AIR_PERCENT + 0.5)
    parts.push(w.common.oxygenFraction({ amount: plain(fraction) }));
  else if (flow !== undefined || fraction !== undefined) parts.push(w.common.air);
  const upper = take("systolic_bp");
  const lower = take("diastolic_bp");
  if (upper !== undefined || lower !== undefined)
    parts.push(`${w.common.pressure} ${upper?.toFixed(0) ?? "–"}/${lower?.toFixed(0) ?? "–"} mmHg`);
  for (const [metric, value] of by) {
    const info = metrics.get(metric);
    parts.push(
      `${info?.label ?? metric} ${fixed(value, info?.decimals ?? 0)} ${unitText(info?.unit ?? "")}`.trim(),
    );
  }
  return parts.join(" · ");
}
