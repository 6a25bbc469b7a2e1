// The courses of one patient: stacked charts with one cursor, or the same as a table; any part of time by dragging over it.

import { useMemo, useRef, useState } from "preact/hooks";
import { said } from "../panel";
import { type Bed, metrics } from "../store";
import { stamp } from "../times";
import type { Alarm, Metric, Observation, Series } from "../types";
import { unitText } from "../wall/units";
import { w } from "../words";
import { Chart } from "./Chart";
import { saveCsv, savePng } from "./exporting";
import { type History, keyOf, useHistory } from "./history";
import { own } from "./own";
import type { Line } from "./plot";
import { Table } from "./Table";
import { Timeline } from "./Timeline";
import {
  type Column,
  column,
  gapS,
  joined,
  type Look,
  SPANS,
  type Span,
  scoreColumn,
  valueRange,
} from "./trends";

const NAMES = Object.keys(SPANS) as Span[];
// Half height of an axis at least, in the metric's unit: noise of one digit must not look like a storm.
const LEAST: Record<string, number> = {
  heart_rate: 10,
  spo2: 3,
  respiratory_rate: 4,
  systolic_bp: 15,
  temperature: 0.6,
  score: 2,
};

export function Trends({ bed, height }: { bed: Bed; height: number }) {
  const [span, setSpan] = useState<Span>("1h");
  const [zoom, setZoom] = useState<readonly [number, number] | null>(null);
  const [look, setLook] = useState<Look>("charts");
  const box = useRef<HTMLDivElement>(null);
  const model = bed.risk.value?.model ?? null;
  const { history, error } = useHistory(bed.id, span, zoom, model);
  // What is shown may still be what was asked for before: then it says so and is pale.
  const behind = history !== null && history.key !== keyOf(span, zoom);
  const title = `${bed.who.value.bed ?? ""} ${bed.who.value.name ?? bed.id}`.trim();
  const choose = (next: Span) => () => {
    setSpan(next);
    setZoom(null);
  };
  return (
    <section
      class="trends"
      aria-label={w.trends.title}
      data-testid="trends"
      data-span={zoom === null ? span : "zoom"}
      data-loaded={!behind && history !== null}
    >
      <div class="row tools">
        <fieldset class="switch" aria-label={w.trends.howFar}>
          {NAMES.map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={zoom === null && span === name}
              onClick={choose(name)}
              data-testid={`span-${name}`}
            >
              {w.trends.spans[name]}
            </button>
          ))}
        </fieldset>
        {zoom !== null && (
          <button type="button" onClick={() => setZoom(null)} data-testid="unzoom">
            {w.trends.backTo({ span: w.trends.spans[span] })}
          </button>
        )}
        <fieldset class="switch" aria-label={w.trends.look}>
          {LOOKS.map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={look === name}
              onClick={() => setLook(name)}
              data-testid={`as-${name}`}
            >
              {w.trends.looks[name]}
            </button>
          ))}
        </fieldset>
        <span class="space" />
        <button
          type="button"
          disabled={history === null || behind}
          onClick={() => history !== null && saveCsv(bed.id, history)}
          data-testid="csv"
        >
          {w.trends.csv}
        </button>
        <button
          type="button"
          disabled={history === null || behind || look !== "charts"}
          onClick={() => box.current !== null && history !== null && savePng(box.current, title, history)}
          data-testid="png"
        >
          {w.trends.png}
        </button>
      </div>
      {error !== null && (
        <p class="error" role="alert" data-testid="panel-trouble" data-trouble={error.kind}>
          {said(error, w.things.history)}
          {history !== null && ` ${w.trends.endsAt({ time: stamp(history.to) })}`}
        </p>
      )}
      {(history === null || behind) && error === null && <p class="quiet">{w.common.loading}</p>}
      {history !== null && look === "timeline" && <Timeline history={history} />}
      {history !== null && look === "table" && (
        <Table history={history} rowMs={zoom === null ? SPANS[span].rowMs : rowOf(history)} />
      )}
      {history !== null && look === "charts" && (
        <div ref={box} class={behind ? "charts behind" : "charts"}>
          <Charts id={bed.id} history={history} height={height} model={model} onZoom={setZoom} />
        </div>
      )}
    </section>
  );
}

// Rows of a chosen part of time: a minute, or so that there are some sixty.
function rowOf(history: History): number {
  return Math.max(60_000, Math.ceil((history.to - history.from) / 60 / 60_000) * 60_000);
}

const LOOKS: readonly Look[] = ["charts", "table", "timeline"];
const NO_NOTES: readonly Observation[] = [];

interface Drawn {
  name: string;
  label: string;
  unit: string;
  columns: Column[];
  lines: Line[];
  decimals: number;
  limited: string | null;
}

interface ChartsProps {
  id: string;
  history: History;
  height: number;
  model: string | null;
  onZoom: (range: [number, number] | null) => void;
}

function Charts({ id, history, height, model, onZoom }: ChartsProps) {
  const known = metrics.value;
  const drawn = useMemo(() => charts(history, model), [history, model]);
  const range = useMemo((): [number, number] => [history.from, history.to], [history]);
  const marks = useMemo(
    () => history.alarms.filter((a) => a.state !== "inhibited" && a.state !== "retrospective"),
    [history],
  );
  if (drawn.length === 0) return <p class="quiet">{w.trends.nothing}</p>;
  return (
    <>
      {drawn.map((d, k) => {
        const limits = limitsOf(d, id, known);
        return (
          <Chart
            key={d.name}
            name={d.name}
            label={d.label}
            unit={d.unit}
            columns={d.columns}
            lines={d.lines}
            decimals={d.decimals}
            limits={limits}
            range={range}
            values={rangeOf(d, limits)}
            marks={mine(marks, d.name)}
            notes={k === drawn.length - 1 ? history.observations : NO_NOTES}
            height={k === drawn.length - 1 ? height + 30 : height}
            labelled={k === drawn.length - 1}
            sync="patient"
            onZoom={onZoom}
          />
        );
      })}
    </>
  );
}

// Of a pressure: below the diastolic and above the systolic limit; the lower limit of the systolic is a line between them.
const pressures = new WeakMap<object, Metric["limits"]>();
function limitsOf(d: Drawn, id: string, known: ReadonlyMap<string, Metric>): Metric["limits"] | undefined {
  const mine = d.limited === null ? undefined : own.of(id, d.limited, known);
  const lower = own.of(id, "diastolic_bp", known);
  if (mine === undefined || d.columns.length === 1 || lower === undefined) return mine;
  const found = pressures.get(mine) ?? { ...mine, low: lower.low, critical_low: mine.low };
  pressures.set(mine, found); // the same object again, so that the chart is not made anew
  return found;
}

function rangeOf(d: Drawn, limits: Parameters<typeof valueRange>[1]): [number, number] {
  const all = d.columns.map((c) => valueRange(c, limits, LEAST[d.name] ?? 2));
  const low = Math.min(...all.map(([l]) => l));
  const high = Math.max(...all.map(([, h]) => h));
  if (d.name === "score") return [Math.min(0, low), high];
  return d.name === "spo2" ? [low, Math.min(high, 100.5)] : [low, high];
}

// An alarm of one metric is marked on its own chart; all of them stand on the lane of the score.
const SHARED: Record<string, readonly string[]> = {
  heart_rate: ["heart_rate", "pulse_rate"],
  systolic_bp: ["systolic_bp", "diastolic_bp", "mean_bp"],
};
function mine(alarms: readonly Alarm[], name: string): readonly Alarm[] {
  if (name === "score") return alarms;
  return alarms.filter((a) => a.metric !== null && (SHARED[name] ?? [name]).includes(a.metric));
}

function charts(history: History, model: string | null): Drawn[] {
  const spanMs = history.to - history.from;
  const by = new Map(history.series.map((s) => [s.metric, s]));
  const has = (metric: string): Series | undefined => {
    const series = by.get(metric);
    return series !== undefined && series.points.length > 0 ? series : undefined;
  };
  const of = (series: Series): Column =>
    column(series, gapS(spanMs, metrics.peek().get(series.metric)?.cadence_s ?? 1));
  const found: Drawn[] = [];
  const single = (name: string, series: Series | undefined) => {
    if (series === undefined) return;
    const info = metrics.peek().get(series.metric);
    found.push({
      name,
      label:
        name === "heart_rate" && series.metric === "heart_rate"
          ? w.common.heartRate
          : (info?.label ?? series.metric),
      unit: unitText(series.unit),
      columns: [of(series)],
      lines: [{ color: `--m-${name}`, band: true }],
      decimals: info?.decimals ?? 0,
      limited: series.metric,
    });
  };
  single("heart_rate", has("heart_rate") ?? has("pulse_rate"));
  single("spo2", has("spo2"));
  single("respiratory_rate", has("respiratory_rate"));
  const systolic = has("systolic_bp");
  const diastolic = has("diastolic_bp");
  if (systolic !== undefined && diastolic !== undefined)
    found.push({
      name: "systolic_bp",
      label: w.common.pressure,
      unit: unitText(systolic.unit),
      columns: joined(of(systolic), of(diastolic)),
      lines: [
        { color: "--m-systolic_bp", band: false },
        { color: "--m-systolic_bp", band: false },
      ],
      decimals: 0,
      limited: "systolic_bp",
    });
  else single("systolic_bp", systolic);
  single("temperature", has("temperature"));
  const score =
    model === null ? undefined : scoreColumn(history.scores, model, Math.max(150, gapS(spanMs, 60)));
  if (score?.v.some((v) => typeof v === "number"))
    found.push({
      name: "score",
      label: w.trends.score({ model: (model ?? "").replaceAll("_", " ") }),
      unit: w.trends.deviation,
      columns: [score],
      lines: [{ color: "--m-score", band: false }],
      decimals: 1,
      limited: null,
    });
  return found;
}
