// The page for those who run it.

import type { Canary, ModelRow } from "../../types";

export const system = {
  title: "System",
  stream: "Stream",
  processes: "Processes",
  noProcesses: "This server was not told where the other processes are.",
  legend:
    "Lag: messages that wait. Behind: the age of the newest moment of the stream that was worked through. p95: of a batch, at the API of an answer, since the last look.",
  facts: {
    kafka: "Kafka",
    tick: "Newest tick",
    canary: "Canary",
    lag: "Messages that wait",
    rate: "Messages a second",
    slowest: "Slowest batch, p95",
    viewers: "Screens and programs",
    version: "Version",
    stages: "Age of what the canary saw come through",
  },
  kafka: { ok: "answers", away: "away" },
  noneYet: "none yet",
  noCanary: "none here",
  canary: {
    starting: "starting",
    ok: "comes through",
    late: "late",
    dead: "does not come through",
    unknown: "does not answer: nothing watches the stream",
  } satisfies Record<NonNullable<Canary>, string>,
  summary: ({ all, away }: { all: number; away: number }) =>
    `${all}, ${away === 0 ? "all ready" : `${away} not ready`}`,
  columns: {
    process: "Process",
    state: "State",
    partitions: "Partitions",
    lag: "Lag",
    rate: "Messages/s",
    p95: "p95",
    behind: "Behind",
    still: "Stands still",
  },
  // What a process says of itself, where it is one of these; "waiting for topics" and the like are its own words.
  states: {
    starting: "starting",
    joining: "joining",
    warming: "warming",
    ready: "ready",
    running: "running",
    stopping: "stopping",
  },
  ready: "ready",
  notReady: "not ready",
  noAnswer: "does not answer",
  no: "no",
};

export const modelList = {
  title: "Models",
  none: "No model is registered. The rules need none.",
  legend: "A champion's scores count; a shadow's are compared and never alarm; the others score nobody.",
  table: "Registered models",
  columns: {
    model: "Model",
    version: "Version",
    stage: "Stage",
    framework: "Trained with",
    since: "Since",
    by: "By",
    reason: "Reason",
    gates: "Gates",
  },
  stages: {
    candidate: "candidate",
    shadow: "shadow",
    champion: "champion",
    retired: "retired",
  } satisfies Record<ModelRow["stage"], string>,
  notAsked: "not asked",
};
