// One patient: courses, NEWS2, what models say, and what happened.

import type { News2 } from "../../news2";
import type { Look, Span } from "../../patient/trends";
import type { Score } from "../../types";
import { list } from "./count";

export const patient = {
  title: "Patient",
  withCarer: ({ person }: { person: string }) => `with ${person}`,
  limits: "Limits",
  handover: "Handover",
  openAlarms: "Open alarms",
  acknowledge: "Acknowledge",
  other: ({ where, alarm }: { where: string; alarm: string }) => `${where}: ${alarm}`,
  moreOthers: ({ n }: { n: number }) => `and ${n} more`,
  aside: "Held back, and found in late data",
  heldBack: ({ alarm }: { alarm: string }) => `Held back: ${alarm}`,
};

export const trends = {
  title: "Trends",
  howFar: "How far back",
  spans: { "1h": "1 h", "4h": "4 h", "24h": "24 h", "7d": "7 d" } satisfies Record<Span, string>,
  backTo: ({ span }: { span: string }) => `Back to ${span}`,
  look: "Charts, table or timeline",
  looks: { charts: "Charts", table: "Table", timeline: "Timeline" } satisfies Record<Look, string>,
  csv: "CSV",
  png: "PNG",
  endsAt: ({ time }: { time: string }) => `What is shown ends at ${time}.`,
  nothing: "Nothing was measured in this time.",
  score: ({ model }: { model: string }) => `Score, ${model}`,
  deviation: "deviation",
  at: ({ value, time }: { value: string; time: string }) => `${value} at ${time}`,
  // On a picture that is saved.
  picture: ({ from, to }: { from: string; to: string }) =>
    `${from} to ${to}. Vigil, not a certified alarm system.`,
};

export const table = {
  title: "Trends as a table",
  caption: ({ each }: { each: string }) =>
    `Mean of each ${each}, newest first; in brackets the lowest and highest value where they differ`,
  minutes: ({ n }: { n: number }) => (n === 1 ? "minute" : `${n} minutes`),
  hours: ({ n }: { n: number }) => `${n} hours`,
  time: "Time",
};

export const timeline = {
  title: "Timeline",
  nothing: "No alarm, observation or note in this time.",
  acknowledgedBy: ({ by }: { by: string }) => `acknowledged by ${by}`,
  over: "over",
  heldBack: "held back behind another alarm",
  foundLate: "found in late data",
  labelled: ({ label }: { label: string }) => `labelled ${label}`,
};

export const news2 = {
  title: "NEWS2",
  atLeast: ({ total }: { total: number }) => `≥ ${total}`,
  risk: ({ risk, known, of }: { risk: string; known: number; of: number }) =>
    `risk ${risk}${known === of ? "" : `; ${known} of ${of} parts known`}`,
  risks: {
    low: "low",
    "low-medium": "low to medium: one part alone has 3",
    medium: "medium",
    high: "high",
    unknown: "not known: parts are missing",
  } satisfies Record<News2["risk"], string>,
  parts: {
    respiratory_rate: "Respiration",
    spo2: "SpO2, scale 1",
    oxygen: "Air or oxygen",
    systolic_bp: "Systolic BP",
    heart_rate: "Pulse",
    consciousness: "Consciousness",
    temperature: "Temperature",
  },
  part: "Part",
  value: "Value",
  age: "Age",
  points: "Points",
  notMeasured: "not measured",
  tooOld: "too old",
  rests: "From the newest values. Not under 16 years, nor in pregnancy. SpO2 scale 1.",
};

export const models = {
  title: "What each model says",
  shadow: "shadow: compared, never alarms",
  scores: {
    ok: "–",
    not_ready: "learning",
    insufficient: "too little data",
    failed: "no valid answer",
  } satisfies Record<Score["status"], string>,
  offBaseline: ({ metric, off }: { metric: string; off: string | null }) =>
    `${metric} ${off === null ? "" : `${off} `}from own baseline`,
  all: ({ metrics }: { metrics: readonly string[] }) => list(metrics),
};
