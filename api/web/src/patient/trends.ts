// Courses as columns for charts, tables and files. Pure.

import type { Metric, Score, Series } from "../types";

export type Span = "1h" | "4h" | "24h" | "7d";
const HOUR = 3_600_000;
export const SPANS: Record<Span, { ms: number; refreshMs: number; rowMs: number }> = {
  "1h": { ms: HOUR, refreshMs: 5_000, rowMs: 60_000 },
  "4h": { ms: 4 * HOUR, refreshMs: 15_000, rowMs: 5 * 60_000 },
  "24h": { ms: 24 * HOUR, refreshMs: 60_000, rowMs: 30 * 60_000 },
  "7d": { ms: 168 * HOUR, refreshMs: 300_000, rowMs: 4 * HOUR },
};
export type Look = "charts" | "table" | "timeline";
export const POINTS = 700;

// null: a gap in the line; undefined: this metric has no point at a time that another one has.
type Cell = number | null | undefined;

export interface Column {
  t: number[]; // seconds, as uPlot wants them
  v: Cell[];
  low: Cell[];
  high: Cell[];
}

// A gap in the data is a gap in the line: where nothing was measured for longer than `gapS`, an empty point is put.
export function column(series: Series, gapS: number): Column {
  const c: Column = { t: [], v: [], low: [], high: [] };
  const put = (t: number, v: Cell, low: Cell, high: Cell) => {
    c.t.push(t);
    c.v.push(v);
    c.low.push(low);
    c.high.push(high);
  };
  for (const point of series.points) {
    const at = point.t / 1000;
    const before = c.t[c.t.length - 1];
    if (before !== undefined && at - before > gapS) put(before + 0.001, null, null, null);
    put(at, point.v, point.min, point.max);
  }
  return c;
}

// The longest pause between two points that is still a line: a few values of the metric, or of what one point stands for.
export function gapS(spanMs: number, cadenceS: number): number {
  return Math.max(30, cadenceS * 4, (spanMs / 1000 / POINTS) * 3);
}

// Two courses in one chart need the same times.
export function joined(a: Column, b: Column): [Column, Column] {
  if (a.t.length === b.t.length && a.t.every((t, i) => t === b.t[i])) return [a, b];
  const t = [...new Set([...a.t, ...b.t])].sort((x, y) => x - y);
  const spread = (c: Column): Column => {
    const at = new Map(c.t.map((time, i) => [time, i]));
    const over = (cells: Cell[]): Cell[] =>
      t.map((time) => {
        const i = at.get(time);
        return i === undefined ? undefined : cells[i];
      });
    return { t, v: over(c.v), low: over(c.low), high: over(c.high) };
  };
  return [spread(a), spread(b)];
}

export function scoreColumn(scores: readonly Score[], model: string, gap: number): Column {
  const points = scores
    .filter((s) => s.model === model)
    .map((s) => {
      const v = s.status === "ok" ? s.score : null;
      return { t: Date.parse(s.window_end), v, min: v, max: v, q: 0 };
    });
  return column({ metric: model, unit: "", points }, gap);
}

export interface Row {
  t: number; // ms, the beginning
  cells: ({ mean: number; low: number; high: number } | null)[];
}

// The same courses as a table, newest first: of each stretch the mean, and the extremes that a mean would hide.
export function rows(all: readonly Series[], fromMs: number, toMs: number, rowMs: number): Row[] {
  const first = Math.floor(fromMs / rowMs);
  const last = Math.floor((toMs - 1) / rowMs);
  const sums = all.map(() => new Map<number, { sum: number; n: number; low: number; high: number }>());
  all.forEach((series, k) => {
    for (const p of series.points) {
      if (p.v === null || p.t < fromMs || p.t >= toMs) continue;
      const at = Math.floor(p.t / rowMs);
      const s = sums[k]?.get(at) ?? { sum: 0, n: 0, low: p.v, high: p.v };
      s.sum += p.v;
      s.n += 1;
      s.low = Math.min(s.low, p.min ?? p.v);
      s.high = Math.max(s.high, p.max ?? p.v);
      sums[k]?.set(at, s);
    }
  });
  const found: Row[] = [];
  for (let at = last; at >= first; at -= 1) {
    const cells = sums.map((m) => {
      const s = m.get(at);
      return s === undefined ? null : { mean: s.sum / s.n, low: s.low, high: s.high };
    });
    if (cells.some((c) => c !== null)) found.push({ t: at * rowMs, cells });
  }
  return found;
}

// The head and the qualities are the names that the API has for them, in every language: programs read this file.
export function csv(all: readonly Series[], patient: string): string {
  const lines = ["patient,metric,unit,time,value,min,max,quality"];
  const quality = ["good", "questionable", "bad", "not_worn"];
  for (const series of all)
    for (const p of series.points)
      lines.push(
        [
          quoted(patient),
          series.metric,
          quoted(series.unit),
          new Date(p.t).toISOString(),
          p.v ?? "",
          p.min ?? "",
          p.max ?? "",
          quality[p.q] ?? "",
        ].join(","),
      );
  return `${lines.join("\r\n")}\r\n`;
}

// A cell that a spreadsheet would take for a formula is made harmless.
function quoted(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export interface Digest {
  newest: number | null;
  low: number | null;
  high: number | null;
}

export function digest(series: Series): Digest {
  let low: number | null = null;
  let high: number | null = null;
  let newest: number | null = null;
  for (const p of series.points) {
    if (p.v === null) continue;
    newest = p.v;
    low = Math.min(low ?? p.v, p.min ?? p.v);
    high = Math.max(high ?? p.v, p.max ?? p.v);
  }
  return { newest, low, high };
}

// The range of a value axis: the data, and limits that lie near it; never so narrow that noise looks like a storm.
export function valueRange(c: Column, limits: Metric["limits"] | undefined, least: number): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const column of [c.v, c.low, c.high])
    for (const v of column)
      if (v !== null && v !== undefined) {
        low = Math.min(low, v);
        high = Math.max(high, v);
      }
  if (low > high) return [0, 1];
  for (const limit of [limits?.low, limits?.high])
    if (limit !== null && limit !== undefined && limit > low - 3 * least && limit < high + 3 * least) {
      low = Math.min(low, limit);
      high = Math.max(high, limit);
    }
  const half = Math.max((high - low) / 2, least) * 1.12;
  const middle = (low + high) / 2;
  return [middle - half, middle + half];
}
