// Times for people: 24 hours, dates as 2026-03-01 (ISO 8601), in the zone of this screen; UTC stands beside them as a hint. The same in
// every language: a chart is read by people who write dates in different orders.

import { w } from "./words";

const two = (n: number): string => String(n).padStart(2, "0");

export function day(ms: number): string {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

export function minute(ms: number): string {
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}`;
}

export function clock(ms: number): string {
  return `${minute(ms)}:${two(new Date(ms).getSeconds())}`;
}

export function stamp(ms: number): string {
  return `${day(ms)} ${clock(ms)}`;
}

// Today's times need no date.
export function moment(ms: number, nowMs: number): string {
  return day(ms) === day(nowMs) ? clock(ms) : stamp(ms);
}

export function utc(ms: number): string {
  return w.time.utc({ stamp: new Date(ms).toISOString().slice(0, 19).replace("T", " ") });
}

// What is left of a time that runs out: "4:05", "1:02:05".
export function left(ms: number): string {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const rest = `${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return s >= 3600 ? `${Math.floor(s / 3600)}:${rest}` : rest.replace(/^0/, "");
}

// The label of a tick on a time axis whose ticks are `stepS` apart; a new day is named where it begins.
export function tickLabel(ms: number, beforeMs: number | null, stepS: number): string {
  const time = stepS < 60 ? clock(ms) : minute(ms);
  if (stepS >= 86_400) return day(ms).slice(5);
  return beforeMs === null || day(beforeMs) !== day(ms) ? `${time}\n${day(ms)}` : time;
}
