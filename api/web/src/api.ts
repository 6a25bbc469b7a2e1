// REST calls. An error carries the words the API gave for a person.

import type { Alarm, Metric, Score, Series } from "./types";

const BASE = "/api/v1";

export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function call<T>(path: string, init?: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(BASE + path, init);
  } catch {
    throw new ApiError(0, "The server cannot be reached. Check the network, then try again.");
  }
  if (!answer.ok) {
    const problem = (await answer.json().catch(() => ({}))) as { title?: string; detail?: string };
    throw new ApiError(
      answer.status,
      problem.detail ?? problem.title ?? `The server answered ${answer.status}.`,
    );
  }
  return (await answer.json()) as T;
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

export async function getScores(patient: string, fromMs: number, toMs: number): Promise<Score[]> {
  const query = new URLSearchParams({
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
  });
  return (await call<{ items: Score[] }>(`/patients/${encodeURIComponent(patient)}/scores?${query}`)).items;
}

// What calls nobody: alarms that another one stands for, and findings in data that came late.
export async function getAside(patient: string): Promise<Alarm[]> {
  const query = new URLSearchParams({ patient, state: "inhibited,retrospective", limit: "20" });
  return (await call<{ items: Alarm[] }>(`/alarms?${query}`)).items;
}

export function acknowledge(alarm: Alarm): Promise<Alarm> {
  return call<Alarm>(`/alarms/${alarm.id}/acknowledge`, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": crypto.randomUUID() },
    body: "{}",
  });
}
