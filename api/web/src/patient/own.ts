// The limits that hold, for everybody and for those with limits of their own: what is underlined, drawn and printed as beyond one.

import { signal } from "@preact/signals";
import { getLimitsInForce } from "../api";
import type { Limits, LimitsInForce, LimitsOfPatient, Metric } from "../types";
import { inForce } from "./limits";

const REFRESH_MS = 30_000;
const NONE: Limits = { low: null, high: null, critical_low: null, critical_high: null };
const held = signal<LimitsInForce | null>(null);

export const own = {
  // The same objects while the version is the same, so that nothing is drawn anew.
  hold(found: LimitsInForce): void {
    if (found.version !== held.peek()?.version) held.value = found;
  },
  // What was just changed, before the next look.
  take(found: LimitsOfPatient): void {
    const before = held.peek();
    if (before === null) return;
    const mine = Object.fromEntries(byMetric(found));
    held.value = {
      ...before,
      version: found.version,
      patients: { ...before.patients, [found.patient]: mine },
    };
  },
  // Limits of a metric for this patient; the catalogue's while those in force are not known.
  of(patient: string, metric: string, known: ReadonlyMap<string, Metric>): Limits | undefined {
    const found = held.value;
    if (found === null) return known.get(metric)?.limits;
    return found.patients[patient]?.[metric] ?? found.everybody[metric] ?? NONE;
  },
};

// Follows the rules; a server that does not say which hold is asked again, and the catalogue's limits stand in.
export function followLimits(): void {
  const look = () =>
    getLimitsInForce()
      .then(own.hold)
      .catch(() => undefined);
  void look();
  window.setInterval(look, REFRESH_MS);
}

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
