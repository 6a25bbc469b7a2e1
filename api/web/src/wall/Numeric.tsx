// One number of a tile: the value, its age, or the words why there is none. Numbers and ages are bound to their text nodes: a new
// value draws nothing else.

import { computed, type ReadonlySignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { own } from "../patient/own";
import { age, type Shown, shown } from "../stale";
import { type Bed, metrics, nowMs } from "../store";
import type { Limits } from "../types";
import { w } from "../words";
import { Trend } from "./Spark";
import { unitText } from "./units";

interface Props {
  bed: Bed;
  metric: string;
  fallback?: string; // used while the first has never been measured
  label?: string;
  short?: string; // where the style has room for one letter
  big?: boolean;
  trend?: number; // a change over five minutes that counts, in the metric's unit
}

export function Numeric({ bed, metric, fallback, label, short, big, trend }: Props) {
  const view = useMemo(() => {
    const name = computed(() =>
      fallback !== undefined && bed.value(metric).value === undefined ? fallback : metric,
    );
    const info = computed(() => metrics.value.get(name.value));
    const look = looking(() => {
      const found = info.value;
      const state = shown(
        bed.value(name.value).value,
        nowMs.value,
        found?.expiry_s ?? 15,
        found?.decimals ?? 0,
      );
      return lookOf(state, outside(state, own.of(bed.id, name.value, metrics.value)));
    });
    return {
      name,
      info,
      kind: computed(() => look.value.kind),
      out: computed(() => look.value.out),
      text: computed(() => look.value.text),
      note: computed(() => look.value.note),
    };
  }, [bed, metric, fallback]);
  const kind = view.kind.value;
  return (
    <Frame
      metric={metric}
      name={view.name.value}
      kind={kind}
      out={view.out.value}
      big={big === true}
      label={label ?? view.info.value?.label ?? metric}
      short={short}
      unit={unitText(view.info.value?.unit ?? "")}
      note={view.note}
    >
      {view.text}
      {kind === "value" && trend !== undefined && <Trend bed={bed} metric={view.name.value} spread={trend} />}
    </Frame>
  );
}

export function Pressure({ bed }: { bed: Bed }) {
  const view = useMemo(() => {
    const of = (metric: string) => {
      const info = metrics.value.get(metric);
      return shown(bed.value(metric).value, nowMs.value, info?.expiry_s ?? 900, 0);
    };
    const upper = looking(() => {
      const state = of("systolic_bp");
      return lookOf(state, outside(state, own.of(bed.id, "systolic_bp", metrics.value)));
    });
    return {
      kind: computed(() => upper.value.kind),
      out: computed(() => upper.value.out),
      text: computed(() => upper.value.text),
      lower: computed(() => `/${number(of("diastolic_bp"))}`),
      note: computed(() => upper.value.note),
    };
  }, [bed]);
  return (
    <Frame
      metric="systolic_bp"
      name="blood_pressure"
      kind={view.kind.value}
      out={view.out.value}
      big={false}
      label={w.common.pressure}
      unit="mmHg"
      note={view.note}
    >
      {view.text}
      <small>{view.lower}</small>
    </Frame>
  );
}

interface Look {
  kind: Shown["kind"];
  out: boolean;
  text: string;
  note: string;
}

function lookOf(state: Shown, out: boolean): Look {
  return { kind: state.kind, out, text: number(state), note: note(state) };
}

// The same object while nothing looks different: the clock passes over a ward of current values and wakes nothing.
function looking(make: () => Look): ReadonlySignal<Look> {
  let before: Look | null = null;
  return computed(() => {
    const now = make();
    if (
      before === null ||
      now.kind !== before.kind ||
      now.out !== before.out ||
      now.text !== before.text ||
      now.note !== before.note
    )
      before = now;
    return before;
  });
}

interface FrameProps {
  metric: string;
  name: string;
  kind: Shown["kind"];
  out: boolean;
  big: boolean;
  label: string;
  short?: string | undefined;
  unit: string;
  note: ReadonlySignal<string>;
  children: preact.ComponentChildren;
}

function Frame({ metric, name, kind, out, big, label, short, unit, note, children }: FrameProps) {
  return (
    <div
      class={`numeric m-${metric} ${big ? "big" : ""}`}
      data-testid="value"
      data-metric={name}
      data-state={kind}
      data-out={out}
    >
      <span class="label" data-short={short}>
        {label} <span class="unit">{unit}</span>
      </span>
      <span class="number">{children}</span>
      <span class="note" title={note}>
        {note}
      </span>
    </div>
  );
}

function number(state: Shown): string {
  return state.kind === "value" ? state.text : "--";
}

function note(state: Shown): string {
  switch (state.kind) {
    case "value":
      return `${state.ageS > 2 ? age(state.ageS) : ""}${state.questionable ? " ?" : ""}`;
    case "stale":
      return w.wall.old({ age: age(state.ageS) });
    case "invalid":
      return state.words;
    case "none":
      return w.wall.noData;
  }
}

function outside(state: Shown, limits: Limits | undefined): boolean {
  if (state.kind !== "value" || limits === undefined) return false;
  const value = state.rounded;
  return (limits.low !== null && value < limits.low) || (limits.high !== null && value > limits.high);
}
