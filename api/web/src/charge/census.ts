// The ward in numbers, and who looks after whom. Pure.

import { waits } from "../alarms/inbox";
import type { Alarm, Carer, Priority } from "../types";
import { w } from "../words";

export interface Placed {
  id: string;
  bed: string | null;
  name: string | null;
  unit: string | null;
  measured: boolean;
  alarms: readonly Alarm[];
}

export interface UnitCensus {
  unit: string;
  beds: number;
  calling: Record<Priority, number>; // beds by the most urgent physiological alarm that waits
  technical: number; // beds with nothing but technical alarms that wait
  quiet: number; // beds whose alarms are all acknowledged or put off
  unseen: number; // beds of which nothing was ever measured
}

const RANK: readonly Priority[] = ["high", "medium", "low"];

export function census(beds: Iterable<Placed>, nowMs: number): UnitCensus[] {
  const by = new Map<string, UnitCensus>();
  for (const bed of beds) {
    const unit = bed.unit ?? w.census.noUnit;
    let found = by.get(unit);
    if (found === undefined) {
      found = { unit, beds: 0, calling: { high: 0, medium: 0, low: 0 }, technical: 0, quiet: 0, unseen: 0 };
      by.set(unit, found);
    }
    found.beds += 1;
    if (!bed.measured) found.unseen += 1;
    const waiting = bed.alarms.filter((a) => waits(a, nowMs));
    const worst = RANK.find((p) => waiting.some((a) => a.lane === "physiological" && a.priority === p));
    if (worst !== undefined) found.calling[worst] += 1;
    else if (waiting.length > 0) found.technical += 1;
    else if (bed.alarms.length > 0) found.quiet += 1;
  }
  return [...by.values()].sort((a, b) => a.unit.localeCompare(b.unit));
}

export interface Load {
  name: string; // "": nobody
  patients: number; // whom they look after
  waiting: number;
  open: number;
}

// How much each person has in hand, who has most first; what is nobody's stands at the top.
export function loads(alarms: Iterable<Alarm>, carers: Iterable<Carer>, nowMs: number): Load[] {
  const by = new Map<string, Load>();
  const of = (name: string): Load => {
    const found = by.get(name) ?? { name, patients: 0, waiting: 0, open: 0 };
    by.set(name, found);
    return found;
  };
  for (const carer of carers) of(carer.person).patients += 1;
  for (const alarm of alarms) {
    const load = of(alarm.assigned_to ?? "");
    load.open += 1;
    if (waits(alarm, nowMs)) load.waiting += 1;
  }
  return [...by.values()].sort(
    (a, b) =>
      Number(b.name === "") - Number(a.name === "") ||
      b.open - a.open ||
      b.patients - a.patients ||
      a.name.localeCompare(b.name),
  );
}

// Whose alarms a patient's are; "" where some are nobody's.
export function holders(alarms: readonly Alarm[]): string[] {
  return [...new Set(alarms.map((a) => a.assigned_to ?? ""))].sort();
}
