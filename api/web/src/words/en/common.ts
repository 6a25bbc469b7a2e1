// What several screens say, and words for values of the API.

import type { AlarmState, LabelName, Patient, Priority, Quality } from "../../types";

export const time = {
  seconds: ({ n }: { n: number | string }) => `${n} s`,
  minutes: ({ n }: { n: number | string }) => `${n} min`,
  hours: ({ n }: { n: number | string }) => `${n} h`,
  days: ({ n }: { n: number | string }) => `${n} d`,
  milliseconds: ({ n }: { n: string }) => `${n} ms`,
  ago: ({ age }: { age: string }) => `${age} ago`,
  utc: ({ stamp }: { stamp: string }) => `${stamp} UTC`,
};

export const common = {
  product: "Vigil",
  none: "None.",
  loading: "Loading…",
  close: "Close",
  cancel: "Cancel",
  back: "Back",
  end: "End",
  name: "Name",
  somebody: "somebody",
  nobody: "nobody",
  by: ({ who }: { who: string }) => `by ${who}`,
  percent: ({ n }: { n: number | string }) => `${n} %`,
  version: ({ version }: { version: string }) => `v${version}`,
  modelVersion: ({ model, version }: { model: string; version: string }) => `${model} v${version}`,
  notDone: "Not done. Try again.",
  notCertified: "Not a certified alarm system. Secondary display: confirm at the bedside.",
  notCertifiedShort: "Not a certified alarm system. Confirm at the bedside.",
  noOpenAlarms: "No open alarms.",
  alarmsUnknown: "Alarms are not known: not connected.",
  connecting: "Connecting to the ward…",
  unreachable: "The server cannot be reached. Check the network, then try again.",
  answered: ({ status }: { status: number }) => `The server answered ${status}.`,
  priorities: { high: "high", medium: "medium", low: "low" } satisfies Record<Priority, string>,
  states: {
    active: "active",
    acknowledged: "acknowledged",
    latched: "latched",
    resolved: "resolved",
    closed: "closed",
    inhibited: "inhibited",
    retrospective: "retrospective",
  } satisfies Record<AlarmState, string>,
  labels: { actionable: "actionable", false_alarm: "false alarm", artefact: "artefact" } satisfies Record<
    LabelName,
    string
  >,
  roles: {
    nurse: "nurse",
    doctor: "doctor",
    charge: "charge",
    administrator: "administrator",
    ops: "ops",
    auditor: "auditor",
    device: "device",
    local: "local",
  },
  sexes: { F: "F", M: "M" } satisfies Record<NonNullable<Patient["sex"]>, string>,
  // Why there is no number, in the place of one.
  unusable: { bad: "not plausible", not_worn: "sensor off" } satisfies Partial<Record<Quality, string>>,
  noValue: "no value",
  // Units that are words; the others are written the same everywhere.
  units: { "{steps}/min": "steps/min" },
  // ACVPU, by the value of the metric.
  consciousness: ["Alert", "New confusion", "Voice", "Pain", "Unresponsive"] as [
    string,
    string,
    string,
    string,
    string,
  ],
  air: "Air",
  oxygenFlow: ({ amount }: { amount: string }) => `Oxygen ${amount} L/min`,
  oxygenFraction: ({ amount }: { amount: string }) => `Oxygen ${amount} %`,
  heartRate: "HR",
  pressure: "BP",
};
