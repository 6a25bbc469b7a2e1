// Sound of alarms: off until somebody clicks, since browsers allow none before. Which burst, how often, is decided by pure functions.
// Pulses and pauses follow the habits of bedside monitors (high 5+5 pulses, medium 3, low 1); this is not a certified alarm signal.

import { signal } from "@preact/signals";
import { kept } from "../kept";
import type { Alarm, Priority } from "../types";
import { waits } from "./inbox";

export type Volumes = Record<Priority, number>; // 0 to 1

const isVolumes = (value: unknown): value is Volumes =>
  typeof value === "object" &&
  value !== null &&
  (["high", "medium", "low"] as const).every((p) => {
    const one: unknown = (value as Record<string, unknown>)[p];
    return typeof one === "number" && one >= 0 && one <= 1;
  });

export const volumes = kept<Volumes>("volumes", { high: 0.9, medium: 0.6, low: 0.3 }, isVolumes);
export const soundOn = signal(false);
export const pausedUntilMs = signal(0); // monotonic; of this screen alone
export const PAUSE_MS = 120_000;

interface Burst {
  hz: number;
  starts: readonly number[]; // seconds of each pulse
  pulseS: number;
  everyMs: number;
}

export const BURSTS: Record<Priority, Burst> = {
  high: {
    hz: 880,
    starts: [0, 0.2, 0.4, 0.75, 0.95, 1.6, 1.8, 2, 2.35, 2.55],
    pulseS: 0.13,
    everyMs: 10_000,
  },
  medium: { hz: 660, starts: [0, 0.3, 0.6], pulseS: 0.18, everyMs: 25_000 },
  low: { hz: 520, starts: [0], pulseS: 0.22, everyMs: 30_000 },
};

// The most urgent alarm that waits decides. A technical one sounds as low at most: it is about a device, not a heart.
export function due(alarms: readonly Alarm[], nowMs: number): Priority | null {
  let found: Priority | null = null;
  for (const alarm of alarms) {
    if (!waits(alarm, nowMs)) continue;
    const priority = alarm.lane === "technical" ? "low" : alarm.priority;
    if (found === null || BURSTS[priority].everyMs < BURSTS[found].everyMs) found = priority;
  }
  return found;
}

export interface Sounded {
  priority: Priority | null;
  atMs: number;
}

// A burst now? At once when something more urgent begins, else when the pause of its priority is over.
export function sounds(before: Sounded, priority: Priority | null, nowMs: number): boolean {
  if (priority === null) return false;
  if (before.priority === null) return true;
  if (BURSTS[priority].everyMs < BURSTS[before.priority].everyMs) return true;
  return nowMs - before.atMs >= BURSTS[priority].everyMs;
}

let context: AudioContext | null = null;
let last: Sounded = { priority: null, atMs: 0 };

// Must be called from a click, as must a test.
function ready(): AudioContext {
  context ??= new AudioContext();
  void context.resume();
  return context;
}

export function enable(): void {
  ready();
  soundOn.value = true;
  pausedUntilMs.value = 0;
}

export function disable(): void {
  soundOn.value = false;
}

export const heard = signal<Priority | null>(null); // the last burst that was played

export function play(priority: Priority): void {
  const context = ready();
  heard.value = priority;
  const burst = BURSTS[priority];
  const gain = context.createGain();
  gain.connect(context.destination);
  gain.gain.value = 0;
  const loud = volumes.peek()[priority] * 0.6;
  const begin = context.currentTime + 0.02;
  const tone = context.createOscillator();
  tone.type = "triangle";
  tone.frequency.value = burst.hz;
  tone.connect(gain);
  for (const start of burst.starts) {
    const at = begin + start;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(loud, at + 0.015);
    gain.gain.setValueAtTime(loud, at + burst.pulseS - 0.03);
    gain.gain.linearRampToValueAtTime(0, at + burst.pulseS);
  }
  tone.start(begin);
  tone.stop(begin + (burst.starts.at(-1) ?? 0) + burst.pulseS + 0.05);
}

// Once a second, with the alarms and the server's time; `monotonicMs` spaces the bursts.
export function tickSound(alarms: readonly Alarm[], nowMs: number, monotonicMs: number): void {
  const priority = due(alarms, nowMs);
  if (priority === null) last = { priority: null, atMs: 0 };
  if (!soundOn.peek() || monotonicMs < pausedUntilMs.peek() || !sounds(last, priority, monotonicMs)) return;
  if (priority === null) return;
  last = { priority, atMs: monotonicMs };
  play(priority);
}
