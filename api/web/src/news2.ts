// NEWS2 (Royal College of Physicians 2017, Chart 1, oxygen scale 1) from the newest values, for people to check part by part.
// A part that nobody measured has no points: with parts missing the sum is a lower bound, and says so.
// The same table as inference/news2.py; tests hold the two together.

import { fixed, plain } from "./numbers";
import { w } from "./words";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

interface Band {
  upTo: number; // inclusive, in the chart's resolution
  points: number;
}

const bands = (upper: readonly number[], points: readonly number[]): Band[] =>
  points.map((p, i) => ({ upTo: upper[i] ?? Number.POSITIVE_INFINITY, points: p }));

const CHART: Record<string, { step: number; bands: Band[] }> = {
  respiratory_rate: { step: 1, bands: bands([8, 11, 20, 24], [3, 1, 0, 2, 3]) },
  spo2: { step: 1, bands: bands([91, 93, 95], [3, 2, 1, 0]) },
  systolic_bp: { step: 1, bands: bands([90, 100, 110, 219], [3, 2, 1, 0, 3]) },
  heart_rate: { step: 1, bands: bands([40, 50, 90, 110, 130], [3, 1, 0, 1, 2, 3]) },
  temperature: { step: 0.1, bands: bands([350, 360, 380, 390], [3, 1, 0, 1, 2]) },
};

export const PARTS = [
  { metric: "respiratory_rate", maxAgeMs: 5 * MINUTE },
  { metric: "spo2", maxAgeMs: 5 * MINUTE },
  { metric: "oxygen", maxAgeMs: 12 * HOUR },
  { metric: "systolic_bp", maxAgeMs: 4 * HOUR },
  { metric: "heart_rate", maxAgeMs: 5 * MINUTE },
  { metric: "consciousness", maxAgeMs: 12 * HOUR },
  { metric: "temperature", maxAgeMs: 12 * HOUR },
] as const;

export interface Known {
  value: number;
  timeMs: number;
}

export interface Part {
  metric: string;
  label: string;
  text: string | null; // the value in words, null: not measured or too old
  points: number | null;
  ageMs: number | null; // also of a value that is too old to count
}

export interface News2 {
  parts: Part[];
  total: number;
  known: number;
  risk: "low" | "low-medium" | "medium" | "high" | "unknown";
}

// Half steps go to the more abnormal band, as on the server.
export function points(metric: string, value: number): number {
  const chart = CHART[metric];
  if (chart === undefined) throw new Error(`no NEWS2 band for ${metric}`);
  const steps = value / chart.step;
  const of = (n: number): number => chart.bands.find((b) => n <= b.upTo)?.points ?? 0;
  return Math.max(of(Math.floor(steps + 0.501)), of(Math.ceil(steps - 0.501)));
}

const AIR_PERCENT = 21.5;

export function news2(newest: (metric: string) => Known | null, nowMs: number): News2 {
  const parts = PARTS.map((part): Part => {
    const found = read(part, newest, nowMs);
    const ageMs = found === null ? null : nowMs - found.timeMs;
    const counts = found !== null && ageMs !== null && ageMs <= part.maxAgeMs;
    return {
      metric: part.metric,
      label: w.news2.parts[part.metric],
      text: counts ? found.text : null,
      points: counts ? found.points : null,
      ageMs,
    };
  });
  const known = parts.filter((p) => p.points !== null);
  const total = known.reduce((sum, p) => sum + (p.points ?? 0), 0);
  return { parts, total, known: known.length, risk: risk(total, known) };
}

// Bands of the whole score. With parts missing a high sum is still high; a low one says nothing.
function risk(total: number, known: readonly Part[]): News2["risk"] {
  if (total >= 7) return "high";
  if (total >= 5) return "medium";
  if (known.some((p) => p.points === 3)) return "low-medium";
  return known.length === PARTS.length ? "low" : "unknown";
}

function read(
  { metric, maxAgeMs }: { metric: string; maxAgeMs: number },
  newest: (metric: string) => Known | null,
  nowMs: number,
): { text: string; points: number; timeMs: number } | null {
  if (metric === "oxygen") return oxygen(newest("inhaled_oxygen"), newest("oxygen_flow"), nowMs, maxAgeMs);
  // An oximeter's pulse stands in where the heart rate is not measured any more.
  const both = [newest(metric), metric === "heart_rate" ? newest("pulse_rate") : null].filter(
    (k) => k !== null,
  );
  const found = both.find((k) => nowMs - k.timeMs <= maxAgeMs) ?? both[0] ?? null;
  if (found === null) return null;
  if (metric === "consciousness")
    return {
      text: w.common.consciousness[Math.round(found.value)] ?? "–",
      points: found.value >= 0.5 ? 3 : 0,
      timeMs: found.timeMs,
    };
  const digits = metric === "temperature" ? 1 : 0;
  return {
    text: fixed(found.value, digits),
    points: points(metric, found.value),
    timeMs: found.timeMs,
  };
}

// Oxygen by either measure; air only where one says so and the other does not contradict. One that is too old says nothing.
function oxygen(
  fraction: Known | null,
  flow: Known | null,
  nowMs: number,
  maxAgeMs: number,
): { text: string; points: number; timeMs: number } | null {
  const both = [fraction, flow].filter((k): k is Known => k !== null);
  if (both.length === 0) return null;
  const fresh = both.filter((k) => nowMs - k.timeMs <= maxAgeMs);
  const timeMs = Math.max(...(fresh.length > 0 ? fresh : both).map((k) => k.timeMs));
  const more =
    (fraction !== null && fresh.includes(fraction) && fraction.value > AIR_PERCENT) ||
    (flow !== null && fresh.includes(flow) && flow.value > 0);
  if (!more) return { text: w.common.air, points: 0, timeMs };
  const text =
    flow !== null && flow.value > 0
      ? w.common.oxygenFlow({ amount: plain(flow.value) })
      : w.common.oxygenFraction({ amount: plain(fraction?.value ?? 0) });
  return { text, points: 2, timeMs };
}
