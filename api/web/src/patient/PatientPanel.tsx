// One patient in detail: the last hour, what the model says and why, and open alarms.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { getAside, getScores, getSeries } from "../api";
import { isShadow, modelName, newest, scoreText } from "../models";
import { type Bed, beds, metrics, nowMs, openPatient } from "../store";
import type { Alarm, Score, Series } from "../types";
import { Numeric, Pressure, unitText } from "../wall/Numeric";
import { AlarmBar, riskTitle } from "../wall/Tile";

const SHOWN = ["heart_rate", "spo2", "respiratory_rate", "systolic_bp"] as const;
const HOUR_MS = 3_600_000;
const REFRESH_MS = 5_000;

export function PatientPanel() {
  const id = openPatient.value;
  const bed = id === null ? undefined : beds.value.get(id);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    if (element === null) return;
    if (bed !== undefined && !element.open) element.showModal();
    if (bed === undefined && element.open) element.close();
  }, [bed]);
  return (
    <dialog
      ref={dialog}
      class="patient"
      data-testid="patient"
      data-patient={id}
      onClose={() => (openPatient.value = null)}
    >
      {bed !== undefined && <Detail key={bed.id} bed={bed} />}
    </dialog>
  );
}

function Detail({ bed }: { bed: Bed }) {
  const who = bed.who.value;
  const [series, setSeries] = useState<Series[] | null>(null);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    let gone = false;
    const load = () => {
      const to = nowMs.peek();
      getSeries(bed.id, SHOWN, to - HOUR_MS, to, 600)
        .then((found) => {
          if (!gone) {
            setSeries(found);
            setError(null);
          }
        })
        .catch((e: Error) => !gone && setError(e.message));
    };
    load();
    const timer = window.setInterval(load, REFRESH_MS);
    return () => {
      gone = true;
      window.clearInterval(timer);
    };
  }, [bed]);
  return (
    <>
      <header>
        <span class="bed">{who.bed ?? "–"}</span>
        <h2>{who.name ?? who.id}</h2>
        <span class="person">{[who.age, who.sex, who.unit].filter((x) => x !== null).join(" · ")}</span>
        <button type="button" class="close" onClick={() => (openPatient.value = null)} aria-label="Close">
          ✕
        </button>
      </header>
      <div class="now">
        <Numeric bed={bed} metric="heart_rate" fallback="pulse_rate" label="HR" big />
        <Numeric bed={bed} metric="spo2" big />
        <Numeric bed={bed} metric="respiratory_rate" big />
        <Pressure bed={bed} />
        <Numeric bed={bed} metric="temperature" />
      </div>
      <section class="open-alarms" aria-label="Open alarms">
        {bed.alarms.value.length === 0 ? <p class="quiet">No open alarms.</p> : null}
        {bed.alarms.value.map((alarm) => (
          <div key={alarm.id}>
            <AlarmBar alarms={[alarm]} />
            <p class="why">{alarm.reasons.map((r) => r.text).join(" · ")}</p>
          </div>
        ))}
      </section>
      <Aside id={bed.id} />
      <RiskLine bed={bed} />
      <Models id={bed.id} />
      <section class="trends" aria-label="Last hour">
        {error !== null && (
          <p class="error" role="alert">
            The history cannot be read: {error}
          </p>
        )}
        {series === null && error === null && <p class="quiet">Loading the last hour…</p>}
        {series?.map((one) => (
          <Chart key={one.metric} series={one} />
        ))}
      </section>
    </>
  );
}

// Kept to be looked up: alarms held back behind another one, and what was found in late data.
function Aside({ id }: { id: string }) {
  const [kept, setKept] = useState<Alarm[]>([]);
  useEffect(() => {
    let gone = false;
    const load = () => {
      getAside(id)
        .then((found) => !gone && setKept(found))
        .catch(() => undefined); // the trends below say that the server does not answer
    };
    load();
    const timer = window.setInterval(load, REFRESH_MS);
    return () => {
      gone = true;
      window.clearInterval(timer);
    };
  }, [id]);
  if (kept.length === 0) return null;
  return (
    <section class="aside" aria-label="Held back, and found in late data" data-testid="aside">
      {kept.map((alarm) => (
        <p key={alarm.id} class="why" data-state={alarm.state} data-condition={alarm.condition}>
          {alarm.state === "inhibited" ? `Held back: ${alarm.text}` : alarm.text}{" "}
          <time dateTime={alarm.onset}>{new Date(alarm.onset).toLocaleString("en-GB")}</time>
        </p>
      ))}
    </section>
  );
}

const SPEAKS_MS = 150_000; // a trained model speaks once a minute

// What every model says now, with its name and version.
function Models({ id }: { id: string }) {
  const [scores, setScores] = useState<Score[]>([]);
  useEffect(() => {
    let gone = false;
    const load = () => {
      const to = nowMs.peek();
      getScores(id, to - SPEAKS_MS, to)
        .then((found) => !gone && setScores(newest(found)))
        .catch(() => !gone && setScores([])); // the trends below say that the history cannot be read
    };
    load();
    const timer = window.setInterval(load, REFRESH_MS);
    return () => {
      gone = true;
      window.clearInterval(timer);
    };
  }, [id]);
  if (scores.length === 0) return null;
  return (
    <table class="models" data-testid="models" aria-label="What each model says">
      <tbody>
        {scores.map((score) => (
          <tr key={score.model} data-model={score.model} data-status={score.status}>
            <th scope="row">
              {modelName(score)} <small>v{score.version}</small>
            </th>
            <td class={score.status === "ok" ? "" : "unknown"}>{scoreText(score)}</td>
            <td>{isShadow(score) && <small>shadow: compared, never alarms</small>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function RiskLine({ bed }: { bed: Bed }) {
  const risk = bed.risk.value;
  if (risk === null) return null;
  const parts = Object.entries(risk.contributions)
    .filter(([, part]) => part > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([metric]) => {
      const info = metrics.value.get(metric);
      const off = risk.deviations[metric];
      const sign =
        off === null || off === undefined
          ? ""
          : `${off > 0 ? "+" : "−"}${Math.abs(off).toFixed(info?.decimals ?? 0)}`;
      return `${info?.label ?? metric} ${sign} over own baseline`;
    });
  return (
    <p class="risk-line" data-testid="risk-line">
      <strong>{risk.status === "ok" && risk.score !== null ? `Δ ${risk.score.toFixed(1)}` : "Δ –"}</strong>{" "}
      {parts.length > 0 ? parts.join(", ") : riskTitle(risk)}
      <small>
        {" "}
        {risk.model.replaceAll("_", " ")} v{risk.version}
      </small>
    </p>
  );
}

function Chart({ series }: { series: Series }) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const info = metrics.value.get(series.metric);
  useEffect(() => {
    const element = holder.current;
    if (element === null) return;
    const style = getComputedStyle(element);
    const ink = style.getPropertyValue("--ink-soft");
    const grid = { stroke: style.getPropertyValue("--line"), width: 1 };
    plot.current = new uPlot(
      {
        width: element.clientWidth,
        height: 120,
        cursor: { sync: { key: "patient" } },
        legend: { show: false },
        scales: { x: { time: true } },
        axes: [
          { stroke: ink, grid, ticks: grid },
          { stroke: ink, grid, ticks: grid, size: 44 },
        ],
        series: [
          {},
          {
            stroke: style.getPropertyValue(`--m-${series.metric}`),
            width: 1.5,
            spanGaps: false,
            points: { show: false },
          },
        ],
      },
      data(series),
      element,
    );
    const observer = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: 120 }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
    };
  }, [series.metric]);
  useEffect(() => {
    plot.current?.setData(data(series));
  }, [series]);
  return (
    <figure data-testid="trend" data-metric={series.metric}>
      <figcaption>
        {info?.label ?? series.metric} <span class="unit">{unitText(series.unit)}</span>
      </figcaption>
      <div ref={holder} />
    </figure>
  );
}

const GAP_S = 60;

// A gap in the data is a gap in the line: an empty point is put where nothing was measured for a minute.
export function data(series: Series): [number[], (number | null)[]] {
  const t: number[] = [];
  const v: (number | null)[] = [];
  for (const point of series.points) {
    const at = point.t / 1000;
    const before = t[t.length - 1];
    if (before !== undefined && at - before > GAP_S) {
      t.push(before + 1);
      v.push(null);
    }
    t.push(at);
    v.push(point.v);
  }
  return [t, v];
}
