// One chart: a metric or two over time, kept alive while its data changes. What the cursor points at is said in its caption.

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { fixed } from "../numbers";
import { theme } from "../theme";
import { clock, stamp } from "../times";
import type { Alarm, Metric, Observation } from "../types";
import { w } from "../words";
import { type Line, plot } from "./plot";
import type { Column } from "./trends";

interface Props {
  name: string;
  label: string;
  unit: string;
  columns: readonly Column[]; // of the same times
  lines: readonly Line[];
  decimals: number;
  limits?: Metric["limits"] | undefined;
  range: readonly [number, number]; // ms
  values: readonly [number, number];
  marks: readonly Alarm[];
  notes?: readonly Observation[]; // what people observed
  height: number;
  labelled: boolean;
  sync: string | null;
  onZoom: (range: [number, number] | null) => void; // ms
}

export function Chart(props: Props) {
  const { name, label, unit, columns, lines, decimals, height, labelled, sync } = props;
  const holder = useRef<HTMLDivElement>(null);
  const said = useRef<HTMLSpanElement>(null);
  const drawn = useRef<uPlot | null>(null);
  const now = useRef(props);
  now.current = props;
  const look = theme.value;
  useLayoutEffect(() => {
    const element = holder.current;
    if (element === null) return;
    const chart = plot(
      {
        lines,
        limits: props.limits,
        height,
        labelled,
        sync,
        range: () => [now.current.range[0] / 1000, now.current.range[1] / 1000],
        values: () => [now.current.values[0], now.current.values[1]],
        marks: () => now.current.marks,
        notes: () => now.current.notes ?? [],
        zoomed: (range) => now.current.onZoom(range === null ? null : [range[0] * 1000, range[1] * 1000]),
        pointed: (index) => {
          if (said.current !== null) said.current.textContent = spoken(now.current, index);
        },
      },
      element,
      aligned(columns, lines),
    );
    drawn.current = chart;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) chart.setSize({ width: element.clientWidth, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
      drawn.current = null;
    };
  }, [name, height, labelled, sync, look, lines.length, props.limits]);
  useEffect(() => {
    drawn.current?.setData(aligned(columns, lines));
  }, [columns, props.range[0], props.range[1], props.values[0], props.values[1], props.marks, props.notes]);
  return (
    <figure class="chart" data-testid="trend" data-metric={name}>
      <figcaption>
        <strong>{label}</strong> <span class="unit">{unit}</span>
        <span class="pointed" ref={said} />
      </figcaption>
      <div ref={holder} class="plot" data-decimals={decimals} />
    </figure>
  );
}

function aligned(columns: readonly Column[], lines: readonly Line[]): uPlot.AlignedData {
  const first = columns[0];
  const data: (readonly (number | null | undefined)[])[] = [first?.t ?? []];
  columns.forEach((c, k) => {
    data.push(c.v);
    if (lines[k]?.band) data.push(c.low, c.high);
  });
  return data as uPlot.AlignedData;
}

function spoken(props: Props, index: number | null): string {
  const at = index === null ? undefined : props.columns[0]?.t[index];
  if (index === null || at === undefined) return "";
  const said = props.columns.map((c) => {
    const v = c.v[index];
    return v === null || v === undefined ? "–" : fixed(v, props.decimals);
  });
  const low = props.columns[0]?.low[index];
  const high = props.columns[0]?.high[index];
  const spread =
    props.columns.length === 1 &&
    low !== null &&
    high !== null &&
    low !== undefined &&
    high !== undefined &&
    low !== high
      ? ` (${fixed(low, props.decimals)}–${fixed(high, props.decimals)})`
      : "";
  const long = props.range[1] - props.range[0] > 86_400_000;
  return w.trends.at({ value: `${said.join("/")}${spread}`, time: (long ? stamp : clock)(at * 1000) });
}
