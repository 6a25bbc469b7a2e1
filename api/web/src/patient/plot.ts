// uPlot as the page uses it: 24-hour axes, limits as tinted bands, marks where alarms began, one cursor for all charts of a patient.

import uPlot from "uplot";
import { grouped } from "../numbers";
import { tickLabel } from "../times";
import type { Alarm, Metric, Observation } from "../types";

export interface Line {
  color: string; // name of a CSS variable
  band: boolean; // also the span between the smallest and the largest value behind a point
}

export interface Chart {
  lines: readonly Line[];
  limits: Metric["limits"] | undefined;
  height: number;
  labelled: boolean; // has the labels of the time axis
  sync: string | null;
  range: () => [number, number]; // seconds
  values: () => [number, number];
  marks: () => readonly Alarm[];
  notes: () => readonly Observation[];
  zoomed: (range: [number, number] | null) => void;
  pointed: (index: number | null) => void;
}

const AXIS_LEFT = 46;

export function plot(chart: Chart, element: HTMLElement, data: uPlot.AlignedData): uPlot {
  const style = getComputedStyle(element);
  const ink = (name: string): string => style.getPropertyValue(name).trim();
  const grid = { stroke: ink("--line"), width: 1 };
  const font = "11px 'Inter Variable', system-ui, 'DejaVu Sans', sans-serif";
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  for (const line of chart.lines) {
    const color = ink(line.color);
    series.push({ stroke: color, width: 1.6, points: { show: false } });
    if (line.band) {
      const at = series.length;
      for (let k = 0; k < 2; k += 1) series.push({ width: 0, points: { show: false } });
      bands.push({ series: [at + 1, at], fill: `color-mix(in srgb, ${color} 24%, transparent)` });
    }
  }
  return new uPlot(
    {
      width: element.clientWidth || 300,
      height: chart.height,
      legend: { show: false },
      padding: [6, 8, chart.labelled ? 0 : 4, 0],
      series,
      bands,
      scales: { x: { time: true, range: () => chart.range() }, y: { range: () => chart.values() } },
      cursor: {
        ...(chart.sync === null ? {} : { sync: { key: chart.sync } }),
        drag: { x: true, y: false, setScale: false },
        y: false,
        points: { size: 6 },
        bind: {
          dblclick: () => () => {
            chart.zoomed(null);
            return null;
          },
        },
      },
      axes: [
        {
          stroke: ink("--ink-soft"),
          font,
          grid,
          ticks: { show: false },
          size: chart.labelled ? 34 : 2,
          space: 74,
          values: chart.labelled
            ? (_, splits, __, ___, increment) =>
                splits.map((s, i) =>
                  tickLabel(s * 1000, i === 0 ? null : (splits[i - 1] ?? 0) * 1000, increment),
                )
            : (_, splits) => splits.map(() => ""),
        },
        {
          stroke: ink("--ink-soft"),
          font,
          grid,
          ticks: { show: false },
          size: AXIS_LEFT,
          space: 22,
          values: (_, splits) => splits.map((value) => grouped(value, 3)),
        },
      ],
      hooks: {
        drawClear: [(u) => limitBands(u, chart.limits, ink("--limit-fill"), ink("--limit"))],
        draw: [
          (u) => alarmMarks(u, chart.marks(), ink),
          (u) => noteMarks(u, chart.notes(), ink("--ink"), ink("--tile")),
        ],
        setCursor: [(u) => chart.pointed(u.cursor.idx ?? null)],
        setSelect: [
          (u) => {
            if (u.select.width < 6) return;
            const range: [number, number] = [
              u.posToVal(u.select.left, "x"),
              u.posToVal(u.select.left + u.select.width, "x"),
            ];
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            chart.zoomed(range);
          },
        ],
      },
    },
    data,
    element,
  );
}

function limitBands(u: uPlot, limits: Metric["limits"] | undefined, fill: string, line: string): void {
  if (limits === undefined) return;
  const { left, top, width, height } = u.bbox;
  const context = u.ctx;
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  const beyond = (limit: number | null, above: boolean | null) => {
    if (limit === null) return;
    const y = u.valToPos(limit, "y", true);
    context.fillStyle = fill;
    if (above === true) context.fillRect(left, top, width, y - top);
    if (above === false) context.fillRect(left, y, width, top + height - y);
    context.strokeStyle = line;
    context.lineWidth = devicePixelRatio;
    context.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    context.beginPath();
    context.moveTo(left, y);
    context.lineTo(left + width, y);
    context.stroke();
    context.setLineDash([]);
  };
  beyond(limits.high, true);
  beyond(limits.low, false);
  beyond(limits.critical_high, null);
  beyond(limits.critical_low, null);
  context.restore();
}

function alarmMarks(u: uPlot, alarms: readonly Alarm[], ink: (name: string) => string): void {
  const { left, top, width, height } = u.bbox;
  const context = u.ctx;
  context.save();
  for (const alarm of alarms) {
    const x = u.valToPos(Date.parse(alarm.onset) / 1000, "x", true);
    if (x < left || x > left + width) continue;
    const color = ink(alarm.lane === "technical" ? "--mark-technical" : `--mark-${alarm.priority}`);
    context.strokeStyle = color;
    context.fillStyle = color;
    context.lineWidth = devicePixelRatio * 1.5;
    context.beginPath();
    context.moveTo(x, top);
    context.lineTo(x, top + height);
    context.stroke();
    const size = 5 * devicePixelRatio;
    context.beginPath();
    context.moveTo(x - size, top);
    context.lineTo(x + size, top);
    context.lineTo(x, top + size * 1.4);
    context.fill();
  }
  context.restore();
}

// What people observed stands at the foot of the last chart: a ring for values, filled where there are words too.
function noteMarks(u: uPlot, notes: readonly Observation[], ink: string, ground: string): void {
  const { left, top, width, height } = u.bbox;
  const context = u.ctx;
  context.save();
  const size = 5 * devicePixelRatio;
  for (const note of notes) {
    const x = u.valToPos(Date.parse(note.taken) / 1000, "x", true);
    if (x < left || x > left + width) continue;
    context.beginPath();
    context.arc(x, top + height - size - devicePixelRatio, size, 0, 2 * Math.PI);
    context.fillStyle = note.note === null ? ground : ink;
    context.strokeStyle = ink;
    context.lineWidth = devicePixelRatio * 1.6;
    context.fill();
    context.stroke();
  }
  context.restore();
}
