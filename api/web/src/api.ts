// REST calls. An error carries the words the API gave for a person.

import { actor } from "./kept";
import type {
  Alarm,
  AlarmDetail,
  AlarmState,
  Bound,
  Burden,
  Carer,
  CareTeam,
  DeviceRow,
  FieldError,
  LabelName,
  LimitsInForce,
  LimitsOfPatient,
  Metric,
  ModelRow,
  NewObservation,
  Notices,
  Observation,
  Policy,
  Preview,
  ProcessRow,
  Score,
  Series,
  SystemInfo,
} from "./types";
import { w } from "./words";

const BASE = "/api/v1";

export class ApiError extends Error {
  readonly status: number;
  readonly errors: readonly FieldError[]; // the fields at fault, where the server named them

  constructor(status: number, message: string, errors: readonly FieldError[] = []) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

// What to do when the server says that nobody is logged in any more.
let sessionEnded: () => void = () => undefined;
export function whenSessionEnds(act: () => void): void {
  sessionEnded = act;
}

export async function call<T>(path: string, init?: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(BASE + path, init);
  } catch {
    throw new ApiError(0, w.common.unreachable);
  }
  if (!answer.ok) {
    if (answer.status === 401) sessionEnded();
    const problem = (await answer.json().catch(() => ({}))) as {
      title?: string;
      detail?: string;
      errors?: FieldError[];
    };
    throw new ApiError(
      answer.status,
      problem.detail ?? problem.title ?? w.common.answered({ status: answer.status }),
      problem.errors ?? [],
    );
  }
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

export async function getMetrics(): Promise<Metric[]> {
  return (await call<{ items: Metric[] }>("/metrics")).items;
}

export async function getSeries(
  patient: string,
  names: readonly string[],
  fromMs: number,
  toMs: number,
  points: number,
): Promise<Series[]> {
  const query = new URLSearchParams([
    ...names.map((n) => ["metric", n]),
    ["from", new Date(fromMs).toISOString()],
    ["to", new Date(toMs).toISOString()],
    ["points", String(points)],
  ]);
  const answer = await call<Series | { series: Series[] }>(
    `/patients/${encodeURIComponent(patient)}/series?${query}`,
  );
  return "series" in answer ? answer.series : [answer];
}

export async function getScores(
  patient: string,
  fromMs: number,
  toMs: number,
  model: string | null = null,
): Promise<Score[]> {
  const query = new URLSearchParams({
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
  });
  if (model !== null) query.set("model", model);
  return (await call<{ items: Score[] }>(`/patients/${encodeURIComponent(patient)}/scores?${query}`)).items;
}

const path = (alarm: Alarm, verb: string): string => `/alarms/${encodeURIComponent(alarm.id)}/${verb}`;

// Every alarm of a patient, newest first; `states` empty: in any state.
export async function getAlarms(
  patient: string,
  states: readonly AlarmState[],
  limit: number,
): Promise<Alarm[]> {
  const query = new URLSearchParams({ patient, limit: String(limit) });
  if (states.length > 0) query.set("state", states.join(","));
  return (await call<{ items: Alarm[] }>(`/alarms?${query}`)).items;
}

export function getAlarm(id: string): Promise<AlarmDetail> {
  return call<AlarmDetail>(`/alarms/${encodeURIComponent(id)}`);
}

export function getNotices(id: string): Promise<Notices> {
  return call<Notices>(`/alarms/${encodeURIComponent(id)}/notices`);
}

// A change by a person. `seen`: only if the alarm is still as this person saw it.
function change(alarm: Alarm, verb: string, body: object, seen: boolean = false): Promise<Alarm> {
  return send<Alarm>(path(alarm, verb), body, seen ? { "if-match": `"v${alarm.version}"` } : {});
}

function send<T>(
  to: string,
  body: object,
  more: Record<string, string>,
  method: "POST" | "PUT" | "DELETE" = "POST",
): Promise<T> {
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "idempotency-key": crypto.randomUUID(),
    ...more,
  };
  if (actor.peek() !== "") headers["x-vigil-actor"] = actor.peek();
  return call<T>(to, { method, headers, body: JSON.stringify(body) });
}

export const acknowledge = (alarm: Alarm, seen: boolean = false): Promise<Alarm> =>
  change(alarm, "acknowledge", {}, seen);
export const snooze = (alarm: Alarm, minutes: number, reason: string): Promise<Alarm> =>
  change(alarm, "snooze", { minutes, reason });
export const escalate = (alarm: Alarm): Promise<Alarm> => change(alarm, "escalate", {});
export const assign = (alarm: Alarm, to: string): Promise<Alarm> => change(alarm, "assign", { to });
export const label = (alarm: Alarm, name: LabelName): Promise<Alarm> =>
  change(alarm, "label", { label: name });
export const resolve = (alarm: Alarm, note: string): Promise<Alarm> => change(alarm, "resolve", { note });
// Takes back the change that led to `alarm`, if nothing has happened to it since.
export const undo = (alarm: Alarm): Promise<Alarm> => change(alarm, "undo", {}, true);
export const note = (alarm: Alarm, text: string): Promise<Alarm> => change(alarm, "note", { note: text });

export function getPolicy(): Promise<Policy> {
  return call<Policy>("/alarms/policy");
}

// All open alarms assigned to one person become another's, in one action.
export async function handOver(from: string, to: string, reason: string): Promise<Alarm[]> {
  const body = reason === "" ? { from, to } : { from, to, reason };
  return (await send<{ items: Alarm[] }>("/alarms/handover", body, {})).items;
}

const ofPatient = (patient: string, what: string): string =>
  `/patients/${encodeURIComponent(patient)}/${what}`;

export async function getObservations(patient: string, fromMs: number, toMs: number): Promise<Observation[]> {
  const query = new URLSearchParams({
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
    limit: "200",
  });
  return (await call<{ items: Observation[] }>(ofPatient(patient, `observations?${query}`))).items;
}

// `key`: the same for every try of one form, so that a retry after a lost answer writes nothing twice.
export const observe = (patient: string, body: NewObservation, key: string): Promise<Observation> =>
  send<Observation>(ofPatient(patient, "observations"), body, { "idempotency-key": key });

export const getLimitsInForce = (): Promise<LimitsInForce> => call<LimitsInForce>("/limits");

export const getLimits = (patient: string): Promise<LimitsOfPatient> =>
  call<LimitsOfPatient>(ofPatient(patient, "limits"));

export const changeLimits = (
  patient: string,
  limits: Record<string, Bound>,
  reason: string,
  version: number,
): Promise<LimitsOfPatient> =>
  send<LimitsOfPatient>(
    ofPatient(patient, "limits"),
    { limits, reason },
    { "if-match": `"v${version}"` },
    "PUT",
  );

export const tryLimits = (patient: string, limits: Record<string, Bound>): Promise<Preview> =>
  send<Preview>(ofPatient(patient, "limits/preview"), { limits }, {});

export async function getBurden(hours: number, toMs: number): Promise<Burden> {
  const query = new URLSearchParams({
    from: new Date(toMs - hours * 3_600_000).toISOString(),
    to: new Date(toMs).toISOString(),
  });
  return call<Burden>(`/burden?${query}`);
}

export async function getTeams(): Promise<CareTeam[]> {
  return (await call<{ items: CareTeam[] }>("/teams")).items;
}

export async function getCarers(): Promise<Carer[]> {
  return (await call<{ items: Carer[] }>("/carers")).items;
}

// `to` looks after the patient for so many hours: what is open and what begins is theirs.
export const lookAfter = (
  patient: string,
  to: string,
  hours: number,
): Promise<{ carer: Carer; alarms: Alarm[] }> => send(ofPatient(patient, "carer"), { to, hours }, {}, "PUT");

export const leavePatient = (patient: string): Promise<void> =>
  send(ofPatient(patient, "carer"), {}, {}, "DELETE");

export async function getDevices(): Promise<DeviceRow[]> {
  return (await call<{ items: DeviceRow[] }>("/devices")).items;
}

export const getSystem = (): Promise<SystemInfo> => call<SystemInfo>("/system");

export async function getModels(): Promise<ModelRow[]> {
  return (await call<{ items: ModelRow[] }>("/models")).items;
}

export async function getProcesses(): Promise<ProcessRow[]> {
  return (await call<{ items: ProcessRow[] }>("/system/processes")).items;
}
