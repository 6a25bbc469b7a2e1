// A draft of one patient's limits: what was typed, what it means, and what is wrong with it before anybody is asked. Pure.

import { fixed, plain } from "../numbers";
import type { Bound, LimitRow } from "../types";
import { w } from "../words";

export interface Typed {
  limit: string;
  critical: string;
}
export type Draft = Record<string, Typed>; // by rule

export function inForce(row: LimitRow): Bound {
  return row.own ?? row.everybody;
}

export function typed(row: LimitRow, bound: Bound): Typed {
  const text = (n: number | null): string => (n === null ? "" : fixed(n, row.decimals));
  return { limit: text(bound.limit), critical: text(bound.critical) };
}

export function start(rows: readonly LimitRow[]): Draft {
  return Object.fromEntries(rows.map((row) => [row.rule, typed(row, inForce(row))]));
}

export interface Read {
  own: Record<string, Bound>; // every rule in which the draft says something else than everybody's limits
  changed: string[]; // rules in which it says something else than what is in force
  wrong: Record<string, string>; // by rule
}

export function read(rows: readonly LimitRow[], draft: Draft): Read {
  const found: Read = { own: {}, changed: [], wrong: {} };
  const known = new Map<string, Bound>();
  for (const row of rows) {
    const said = draft[row.rule] ?? typed(row, inForce(row));
    const limit = number(said.limit);
    const critical = said.critical.trim() === "" ? null : number(said.critical);
    const reason = wrong(row, limit, critical, said.critical.trim() !== "");
    if (reason !== null || limit === null) {
      found.wrong[row.rule] = reason ?? w.limits.number;
      continue;
    }
    const bound = { limit, critical };
    known.set(row.rule, bound);
    if (!same(bound, row.everybody)) found.own[row.rule] = bound;
    if (!same(bound, inForce(row))) found.changed.push(row.rule);
  }
  for (const row of rows) {
    const high = known.get(row.rule);
    const low = known.get(`${row.metric}_low`);
    if (row.direction === "high" && high !== undefined && low !== undefined && low.limit >= high.limit)
      found.wrong[row.rule] = w.limits.aboveLow({ limit: plain(low.limit) });
  }
  return found;
}

function wrong(row: LimitRow, limit: number | null, critical: number | null, wanted: boolean): string | null {
  if (limit === null || (wanted && critical === null)) return w.limits.number;
  const fits = (n: number): boolean => n >= row.lowest && n <= row.highest;
  if (!fits(limit) || (critical !== null && !fits(critical)))
    return w.limits.between({ lowest: plain(row.lowest), highest: plain(row.highest) });
  if (critical !== null && (row.direction === "low" ? critical >= limit : critical <= limit))
    return w.limits.urgentMustLie[row.direction];
  return null;
}

function same(a: Bound, b: Bound): boolean {
  return a.limit === b.limit && a.critical === b.critical;
}

function number(text: string): number | null {
  const trimmed = text.trim().replace(",", ".");
  const value = Number(trimmed);
  return trimmed !== "" && Number.isFinite(value) ? value : null;
}
