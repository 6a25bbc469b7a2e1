// What the page knows, as signals: a tile subscribes to its own values and nothing else is drawn again.

import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { account } from "./access/session";
import { asked, type Shelf, sorted, together, waits } from "./alarms/inbox";
import { type Connection, start } from "./connection";
import { actor } from "./kept";
import { byPriority, held, type Mode, order, type Placed } from "./order";
import type { Measured } from "./stale";
import type { Alarm, Canary, Frame, Metric, Patient, Policy, Priority, Risk, Value } from "./types";
import { w } from "./words";

export const TRACE_SECONDS = 600;

// What has a sparkline or an arrow; ten minutes of everything else would be kept for nobody.
const TRACED = new Set(["heart_rate", "pulse_rate", "spo2", "respiratory_rate"]);

export interface TracePoint {
  t: number; // ms
  v: number;
}

export class Bed {
  readonly id: string;
  readonly who = signal<Omit<Patient, "latest" | "risk" | "alarms">>({
    id: "",
    name: null,
    bed: null,
    unit: null,
    age: null,
    sex: null,
  });
  readonly risk = signal<Risk | null>(null);
  readonly measured = signal(false); // whether anything was ever measured
  readonly traces = new Map<string, TracePoint[]>();
  readonly past = signal(0); // rises when what was before this page is known
  seeded = false;
  private readonly values = new Map<string, Signal<Measured | undefined>>();
  readonly alarms = computed(() => alarmsOf.value.get(this.id) ?? NO_ALARMS);

  constructor(id: string) {
    this.id = id;
  }

  value(metric: string): Signal<Measured | undefined> {
    let found = this.values.get(metric);
    if (found === undefined) {
      found = signal(undefined);
      this.values.set(metric, found);
    }
    return found;
  }

  take(metric: string, value: Value): void {
    const timeMs = parsed(value.time);
    const current = this.value(metric);
    if ((current.peek()?.timeMs ?? 0) > timeMs) return;
    current.value = { value: value.value, timeMs, quality: value.quality };
    this.measured.value = true;
    if (value.value === null || value.quality === "bad" || value.quality === "not_worn") return;
    if (TRACED.has(metric)) this.trace(metric, timeMs, value.value);
  }

  private trace(metric: string, t: number, v: number): void {
    let points = this.traces.get(metric);
    if (points === undefined) {
      points = [];
      this.traces.set(metric, points);
    }
    if (points.length > 0 && (points[points.length - 1]?.t ?? 0) >= t) return;
    points.push({ t, v });
    while ((points[0]?.t ?? t) < t - TRACE_SECONDS * 1000) points.shift();
  }

  seed(metric: string, points: TracePoint[]): void {
    const live = this.traces.get(metric) ?? [];
    const first = live[0]?.t ?? Number.POSITIVE_INFINITY;
    this.traces.set(metric, [...points.filter((p) => p.t < first), ...live]);
    this.past.value += 1;
  }
}

// The values of a frame carry the same few times.
let parsedText = "";
let parsedMs = Number.NaN;
function parsed(text: string): number {
  if (text !== parsedText) {
    parsedText = text;
    parsedMs = Date.parse(text);
  }
  return parsedMs;
}

const NO_ALARMS: readonly Alarm[] = [];
const NO_BEDS: ReadonlyMap<string, never> = new Map<string, never>();

// A computed list that stays the same object while its elements do.
export function steady<T>(make: () => readonly T[]): ReadonlySignal<readonly T[]> {
  let before: readonly T[] = [];
  return computed(() => {
    const now = make();
    if (now.length !== before.length || now.some((x, i) => x !== before[i])) before = now;
    return before;
  });
}

export const metrics = signal<ReadonlyMap<string, Metric>>(new Map());
export const beds = signal<ReadonlyMap<string, Bed>>(new Map());
export const alarms = signal<ReadonlyMap<string, Alarm>>(new Map());
export const connection = signal<Connection>(start);
export const feed = computed(() => connection.value.link); // changes seldom, the connection with every frame
export const demo = signal(false);
export const notice = signal("");
export const kafka = signal<"ok" | "away">("ok");
export const canary = signal<Canary>(null);
export const dataAsOfMs = signal<number | null>(null);
export const serverOffsetMs = signal(0);
export const nowMs = signal(Date.now()); // server time, once a second
export const tenSeconds = computed(() => Math.floor(nowMs.value / 10_000));
export const mode = signal<Mode>("risk");
export const selectedAlarm = signal<string | null>(null);
export const shelf = signal<Shelf>("all");
export const words = signal("");
export const policy = signal<Policy | null>(null); // null: not known, or this server has none
// Who acts here: the name given on this screen, else what the server calls an unnamed person.
export const me = computed(
  () => account.value?.name ?? (actor.value || (demo.value ? "demo nurse" : "local user")),
);
export const openPatient = signal<string | null>(null);

const alarmsOf = computed(() => {
  const grouped = new Map<string, Alarm[]>();
  for (const alarm of alarms.value.values()) {
    const list = grouped.get(alarm.patient);
    if (list === undefined) grouped.set(alarm.patient, [alarm]);
    else list.push(alarm);
  }
  for (const list of grouped.values()) list.sort(byPriority);
  return grouped;
});

// The most urgent first; the same list again while nothing changes, so that the clock alone draws nothing.
export const alarmList = steady(() => sorted(alarms.value.values(), nowMs.value));
export const waiting = steady(() => alarmList.value.filter((a) => waits(a, nowMs.value)));
export const unacknowledged = computed(() => waiting.value.length);

// What the inbox is asked for, in the order it would have now.
export const askedAlarms = steady(() => {
  const question = { shelf: shelf.value, words: words.value, me: me.value };
  return together(alarmList.value.filter((a) => asked(a, question, whereWords(a), nowMs.value)));
});

function whereWords(alarm: Alarm): string {
  if (alarm.subject === "group") return w.inbox.manyPatients;
  const who = beds.value.get(alarm.patient)?.who.value;
  return `${who?.bed ?? ""} ${who?.name ?? alarm.patient} ${who?.unit ?? ""}`;
}

// The inbox holds still under the pointer: a click must not land on an alarm that has just moved there.
export const shownAlarms = signal<readonly string[]>([]);
const INBOX_HOLD_MS = 4_000;
let inboxPointedMs = Number.NEGATIVE_INFINITY;

export function inboxPointed(atMs: number): void {
  inboxPointedMs = atMs;
}

export function arrangeInbox(atMs: number, now: boolean = false): void {
  const wanted = askedAlarms.value.map((a) => a.id);
  shownAlarms.value = held(
    shownAlarms.peek(),
    wanted,
    now ? Number.NEGATIVE_INFINITY : inboxPointedMs,
    atMs,
    INBOX_HOLD_MS,
  );
}

// New alarms that stand out of place while the inbox holds still.
export const outOfPlace = computed(() => {
  const shown = shownAlarms.value;
  const wanted = askedAlarms.value;
  return wanted.filter((a, i) => shown[i] !== a.id && shown.indexOf(a.id) > i && waits(a, nowMs.value))
    .length;
});

export const placed = computed<Placed[]>(() =>
  [...beds.value.values()].map((bed) => {
    const open = bed.alarms.value;
    const now = nowMs.value;
    const waiting = open.filter((a) => waits(a, now));
    return {
      id: bed.id,
      bed: bed.who.value.bed ?? "",
      worst: worst(waiting),
      acknowledged: open.length > 0 && waiting.length === 0,
      sinceMs: earliest(waiting),
      score: bed.risk.value?.status === "ok" ? bed.risk.value.score : null,
    };
  }),
);

export const shownOrder = signal<readonly string[]>([]);
export const heldBack = signal(false); // the order would be another one if nobody pointed
let pointerAtMs = Number.NEGATIVE_INFINITY;

export function pointed(atMs: number): void {
  pointerAtMs = atMs;
}

export function arrange(atMs: number, now: boolean = false): void {
  const wanted = order(placed.value, mode.value);
  const next = now ? wanted : held(shownOrder.peek(), wanted, pointerAtMs, atMs);
  shownOrder.value = next;
  heldBack.value = next.some((id, i) => id !== wanted[i]);
}

export function worst(list: readonly Alarm[]): Priority | null {
  for (const priority of ["high", "medium", "low"] as const)
    if (list.some((a) => a.priority === priority)) return priority;
  return null;
}

// When the first of the most urgent ones began: who has waited longest comes first.
function earliest(list: readonly Alarm[]): number | null {
  const top = worst(list);
  const times = list.filter((a) => a.priority === top).map((a) => Date.parse(a.onset));
  return times.length === 0 ? null : Math.min(...times);
}

export function bedOf(id: string): Bed {
  let bed = beds.peek().get(id);
  if (bed === undefined) {
    bed = new Bed(id);
    bed.who.value = { ...bed.who.peek(), id };
    beds.value = new Map(beds.peek()).set(id, bed);
  }
  return bed;
}

function setServerTime(text: string): void {
  serverOffsetMs.value = Date.parse(text) - Date.now();
  nowMs.value = Date.parse(text);
}

function setAsOf(text: string | null): void {
  if (text !== null) dataAsOfMs.value = Math.max(Date.parse(text), dataAsOfMs.peek() ?? 0);
}

function setAlarm(next: Map<string, Alarm>, alarm: Alarm): void {
  const before = next.get(alarm.id);
  if (before !== undefined && before.version > alarm.version) return; // an older change came late
  if (calls(alarm)) next.set(alarm.id, alarm);
  else next.delete(alarm.id);
}

// Resolved, behind another alarm, or found in late data: there to be looked up, and calling nobody.
export function calls(alarm: Alarm): boolean {
  return alarm.state === "active" || alarm.state === "acknowledged" || alarm.state === "latched";
}

export function takeAlarm(alarm: Alarm): void {
  const next = new Map(alarms.peek());
  setAlarm(next, alarm);
  alarms.value = next;
}

// What was known may be of another feed: the next snapshot starts from nothing, values, traces and times of data included.
let anew = false;

// Fold one frame of the feed into what is known.
export function fold(frame: Frame): void {
  batch(() => {
    switch (frame.type) {
      case "hello":
        demo.value = frame.demo;
        notice.value = frame.notice;
        setServerTime(frame.server_time);
        break;
      case "snapshot": {
        const known = anew ? NO_BEDS : beds.peek();
        const next = new Map<string, Bed>();
        for (const patient of frame.patients) {
          const bed = known.get(patient.id) ?? new Bed(patient.id);
          const { latest, risk, alarms: _, ...who } = patient;
          bed.who.value = who;
          bed.risk.value = risk;
          for (const [metric, value] of Object.entries(latest)) bed.take(metric, value);
          next.set(patient.id, bed);
        }
        beds.value = next;
        alarms.value = new Map(frame.alarms.filter(calls).map((a) => [a.id, a]));
        if (anew) dataAsOfMs.value = null;
        anew = false;
        setAsOf(frame.data_as_of);
        break;
      }
      case "resync":
        anew = true;
        break;
      case "vitals":
        for (const patient of frame.patients) {
          const bed = bedOf(patient.id);
          for (const [metric, value] of Object.entries(patient.latest)) bed.take(metric, value);
        }
        setAsOf(frame.data_as_of);
        break;
      case "scores":
        for (const patient of frame.patients) bedOf(patient.id).risk.value = patient.risk;
        break;
      case "alarm":
        if (frame.alarm.subject !== "group") bedOf(frame.alarm.patient);
        takeAlarm(frame.alarm);
        break;
      case "heartbeat":
        setServerTime(frame.server_time);
        setAsOf(frame.data_as_of);
        kafka.value = frame.kafka;
        canary.value = frame.canary ?? null;
        break;
    }
  });
}
