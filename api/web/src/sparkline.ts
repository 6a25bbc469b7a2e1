// The last ten minutes of one metric on a small canvas: limits as thin lines, gaps left open.

import type { TracePoint } from "./store";
import type { Limits } from "./types";

const SPAN_MS = 600_000;
const GAP_MS = 20_000;

export interface Look {
  color: string;
  limit: string;
}

// Slope over the last five minutes, as a person would call it. `spread` is what counts as a change.
export function trend(points: readonly TracePoint[], spread: number): "up" | "down" | "level" | null {
  const last = points[points.length - 1];
  if (last === undefined) return null;
  const recent = mean(points, last.t - 30_000, last.t);
  const earlier = mean(points, last.t - 330_000, last.t - 240_000);
  if (recent === null || earlier === null) return null;
  return recent - earlier > spread ? "up" : earlier - recent > spread ? "down" : "level";
}

function mean(points: readonly TracePoint[], from: number, to: number): number | null {
  let sum = 0;
  let count = 0;
  for (const p of points)
    if (p.t >= from && p.t <= to) {
      sum += p.v;
      count += 1;
    }
  return count === 0 ? null : sum / count;
}

export function bounds(points: readonly TracePoint[], limits: Limits, least: number): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const p of points) {
    low = Math.min(low, p.v);
    high = Math.max(high, p.v);
  }
  // A limit is drawn when the trace comes near it: far limits would flatten the trace.
  for (const limit of [limits.low, limits.high])
    if (limit !== null && limit > low - 2 * least && limit < high + 2 * least) {
      low = Math.min(low, limit);
      high = Math.max(high, limit);
    }
  const middle = (low + high) / 2;
  const half = Math.max((high - low) / 2, least) * 1.15;
  return [middle - half, middle + half];
}

export function draw(
  canvas: HTMLCanvasElement,
  size: { width: number; height: number }, // of the canvas on the page; asking for it here would cost a layout
  points: readonly TracePoint[],
  limits: Limits,
  least: number,
  nowMs: number,
  look: Look,
): void {
  const ratio = window.devicePixelRatio || 1;
  const { width, height } = size;
  if (width === 0 || height === 0) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  if (points.length === 0) return;
  const [low, high] = bounds(points, limits, least);
  const x = (t: number): number => width - ((nowMs - t) / SPAN_MS) * width;
  const y = (v: number): number => height - ((v - low) / (high - low)) * height;
  context.lineWidth = 1;
  context.strokeStyle = look.limit;
  context.setLineDash([3, 3]);
  for (const limit of [limits.low, limits.high])
    if (limit !== null && limit >= low && limit <= high) {
      context.beginPath();
      context.moveTo(0, y(limit));
      context.lineTo(width, y(limit));
      context.stroke();
    }
  context.setLineDash([]);
  context.strokeStyle = look.color;
  context.lineWidth = 1.4;
  context.lineJoin = "round";
  context.beginPath();
  let before = Number.NEGATIVE_INFINITY;
  let drawnX = Number.NEGATIVE_INFINITY;
  let drawnY = Number.NEGATIVE_INFINITY;
  for (const p of points) {
    const px = x(p.t);
    if (px < -2) continue;
    const py = y(p.v);
    if (p.t - before > GAP_MS) context.moveTo(px, py);
    else if (px - drawnX < 0.5 && Math.abs(py - drawnY) < 0.5) {
      before = p.t; // nobody could see it
      continue;
    } else context.lineTo(px, py);
    before = p.t;
    drawnX = px;
    drawnY = py;
  }
  context.stroke();
}
