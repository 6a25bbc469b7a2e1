// One number of a tile: the value, its age, or the words why there is none.

import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { age, shown } from "../stale";
import { type Bed, metrics, nowMs } from "../store";
import { Trend } from "./Spark";

interface Props {
  bed: Bed;
  metric: string;
  fallback?: string; // used while the first has never been measured
  label?: string;
  big?: boolean;
  trend?: number; // a change over five minutes that counts, in the metric's unit
}

export function Numeric({ bed, metric, fallback, label, big, trend }: Props) {
  const view = useMemo(
    () =>
      computed(() => {
        const first = bed.value(metric).value;
        const name = first === undefined && fallback !== undefined ? fallback : metric;
        const info = metrics.value.get(name);
        const state = shown(bed.value(name).value, nowMs.value, info?.expiry_s ?? 15, info?.decimals ?? 0);
        const limits = info?.limits;
        const number = state.kind === "value" ? Number(state.text) : null;
        const out =
          number !== null &&
          limits !== undefined &&
          ((limits.low !== null && number < limits.low) || (limits.high !== null && number > limits.high));
        return { state, out, label: label ?? info?.label ?? name, unit: info?.unit ?? "", name };
      }),
    [bed, metric, fallback, label],
  );
  const { state, out, label: text, unit, name } = view.value;
  return (
    <div
      class={`numeric m-${metric} ${big ? "big" : ""}`}
      data-testid="value"
      data-metric={name}
      data-state={state.kind}
      data-out={out}
    >
      <span class="label">
        {text} <span class="unit">{unitText(unit)}</span>
      </span>
      <span class="number">
        {state.kind === "value" ? state.text : "--"}
        {state.kind === "value" && trend !== undefined && <Trend bed={bed} metric={name} spread={trend} />}
      </span>
      <span class="note">
        {state.kind === "value" && state.ageS > 2 && age(state.ageS)}
        {state.kind === "value" && state.questionable && " ?"}
        {state.kind === "stale" && `${age(state.ageS)} old`}
        {state.kind === "invalid" && state.words}
        {state.kind === "none" && "no data"}
      </span>
    </div>
  );
}

const UNITS: Record<string, string> = { Cel: "°C", "mm[Hg]": "mmHg" };

export function unitText(unit: string): string {
  return UNITS[unit] ?? unit;
}

export function Pressure({ bed }: { bed: Bed }) {
  const view = useMemo(
    () =>
      computed(() => {
        const info = metrics.value.get("systolic_bp");
        const state = shown(bed.value("systolic_bp").value, nowMs.value, info?.expiry_s ?? 900, 0);
        const lower = shown(
          bed.value("diastolic_bp").value,
          nowMs.value,
          metrics.value.get("diastolic_bp")?.expiry_s ?? 900,
          0,
        );
        const number = state.kind === "value" ? Number(state.text) : null;
        const limits = info?.limits;
        const out =
          number !== null &&
          limits !== undefined &&
          ((limits.low !== null && number < limits.low) || (limits.high !== null && number > limits.high));
        return { state, lower, out };
      }),
    [bed],
  );
  const { state, lower, out } = view.value;
  return (
    <div
      class="numeric m-systolic_bp"
      data-testid="value"
      data-metric="blood_pressure"
      data-state={state.kind}
      data-out={out}
    >
      <span class="label">
        BP <span class="unit">mmHg</span>
      </span>
      <span class="number">
        {state.kind === "value" ? state.text : "--"}
        <small>/{lower.kind === "value" ? lower.text : "--"}</small>
      </span>
      <span class="note">
        {state.kind === "value" && state.ageS > 2 && age(state.ageS)}
        {state.kind === "stale" && `${age(state.ageS)} old`}
        {state.kind === "invalid" && state.words}
        {state.kind === "none" && "no data"}
      </span>
    </div>
  );
}
