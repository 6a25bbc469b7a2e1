// The charge nurse's page.

import { alarms, count, list } from "./count";

const patients = (n: number): string => `${n} ${count(n, { one: "patient", other: "patients" })}`;

export const charge = { title: "Charge nurse" };

export const census = {
  title: "Census",
  beds: ({ n }: { n: number }) => `${n} beds`,
  none: "No patients yet.",
  byUnit: "Beds by unit",
  noUnit: "no unit",
  columns: {
    unit: "Unit",
    beds: "Beds",
    high: "High",
    medium: "Medium",
    low: "Low",
    technical: "Technical only",
    quiet: "All seen to",
    unseen: "Never measured",
  },
  once: "Each bed once, by the most urgent alarm that waits.",
};

export const assignments = {
  title: "Assignments",
  held: ({ n, beds }: { n: number; beds: number }) => `${n} of ${beds} patients are looked after by somebody`,
  which: "Which patients",
  allBeds: "All beds",
  someBeds: "With alarms or a carer",
  loads: "How much each person has in hand",
  nobody: "Nobody",
  load: ({ patients: n, open, waiting }: { patients: number; open: number; waiting: number }) =>
    `${n > 0 ? `${patients(n)}, ` : ""}${open} ${alarms(open)}, ${waiting} waiting`,
  none: "No patient has an open alarm or somebody who looks after them.",
  table: "Who looks after whom",
  columns: {
    bed: "Bed",
    patient: "Patient",
    open: "Open",
    waiting: "Waiting",
    holders: "Alarms with",
    carer: "Looked after by",
    give: "Give to",
  },
  given: ({ name, hours, moved }: { name: string; hours: number; moved: number }) =>
    `With ${name} for ${hours} h; ${moved} open ${alarms(moved)} moved.`,
  released: "Nobody's from now on; open alarms stay.",
  until: ({ time }: { time: string }) => `until ${time}`,
  givenBy: ({ until, by }: { until: string; by: string }) => `${until}, given by ${by}`,
  end: ({ person, patient }: { person: string; patient: string }) =>
    `End: ${person} no longer looks after ${patient}`,
  who: ({ patient }: { patient: string }) => `Who looks after ${patient}`,
  howLong: "For how long",
  give: "Give",
  me: "Me",
};

export const burden = {
  title: "Alarm burden",
  ofHowLong: "Of how long",
  none: "No alarm has called anybody in this time.",
  alarms: "Alarms",
  patientDay: "A patient-day",
  median: "Median to acknowledge",
  right: "Was right",
  noneLabelled: "nobody labelled any",
  ofLabelled: ({ n }: { n: number }) => `of ${n} labelled`,
  review: "Rules that deserve another look",
  by: { rule: "Alarm burden by rule", unit: "Alarm burden by unit" },
  columns: {
    rule: "Rule",
    unit: "Unit",
    alarms: "Alarms",
    high: "High",
    share: "Share",
    right: "Was right",
    seen: "Seen after",
  },
  noKey: "none",
  rightOf: ({ share, n }: { share: string; n: number }) => `${share} of ${n}`,
};

export const teams = {
  title: "Care teams",
  onNow: "who is on now",
  none: "Nobody has to log in here, so there are no care teams.",
  table: ({ team }: { team: string }) => `Care team ${team}`,
  caption: ({ team, covers }: { team: string; covers: string }) => `${team}: ${covers}`,
  columns: {
    who: "Who",
    role: "Role",
    until: "Until",
    patients: "Patients",
    open: "Open alarms",
    waiting: "Waiting",
  },
  furtherNotice: "further notice",
  everyPatient: "every patient",
  nobodyYet: "nobody yet",
  covers: ({ units, named }: { units: readonly string[]; named: number }) =>
    list(named === 0 ? units : [...units, `${patients(named)} by name`]),
};

export const devices = {
  title: "Devices",
  summary: ({ all, silent, low }: { all: number; silent: number; low: number }) =>
    `${all}, ${silent === 0 ? "none" : silent} silent${low === 0 ? "" : `, ${low} with a low battery`}`,
  none: "No device has sent anything yet.",
  columns: {
    bed: "Bed",
    patient: "Patient",
    device: "Device",
    link: "Link",
    battery: "Battery",
    newest: "Newest value of the patient",
  },
  limits: "No device reports the strength of its signal yet. A clock that runs ahead is an alarm.",
  heard: "heard",
  silentSince: ({ time }: { time: string }) => `silent since ${time}`,
  noneYet: "none yet",
  notTold: "not told",
  wasLevel: ({ level }: { level: string }) => `unknown, was ${level}`,
};
