// The limits that hold for a patient whose view is open: its charts and files show them, not the catalogue's.

import { signal } from "@preact/signals";
import type { Limits, LimitsOfPatient, Metric } from "../types";
import { inForce } from "./limits";

const held = signal<{ patient: string; by: ReadonlyMap<string, Limits> } | null>(null);

export const own = {
  take(found: LimitsOfPatient): void {
    held.value = { patient: found.patient, by: byMetric(found) };
  },
  // Limits of a metric for this patient; the catalogue's while they are not known.
  of(patient: string, metric: string, known: ReadonlyMap<string, Metric>): Limits | undefined {
    const mine = held.value?.patient === patient ? held.value.by : null;
    return mine === null ? known.get(metric)?.limits : (mine.get(metric) ?? NONE);
  },
};

const NONE: Limits = { low: null, high: null, critical_low: null, critical_high: null };

export function byMetric(found: LimitsOfPatient): Map<string, Limits> {
  const by = new Map<string, Limits>();
  for (const row of found.items) {
    const bound = inForce(row);
    const before = by.get(row.metric) ?? NONE;
    by.set(
      row.metric,
      row.direction === "low"
        ? { ...before, low: bound.limit, critical_low: bound.critical }
        : { ...before, high: bound.limit, critical_high: bound.critical },
    );
  }
  return by;
}
