// What is done for one patient: observations by hand, limits, handover.

import type { Oxygen } from "../../patient/observed";
import type { Rich } from "../grammar";
import { rich } from "../grammar";
import { list } from "./count";

export const observe = {
  region: "Observations by hand",
  title: "Observed by hand",
  write: "Write down…",
  nothing: "Nothing written down in the last 24 hours.",
  onlyNewest: "Only the newest",
  all: ({ n }: { n: number }) => `All ${n}`,
  by: ({ author }: { author: string }) => `by ${author}`,
  byLater: ({ author, age }: { author: string; age: string }) => `by ${author}, written down ${age} later`,
  consciousness: "Consciousness (ACVPU)",
  breathes: "Breathes",
  oxygen: { air: "Air", flow: "Oxygen by flow", fraction: "Oxygen by FiO2" } satisfies Record<
    Exclude<Oxygen, "">,
    string
  >,
  note: "Note",
  noteHint: "What was seen or done",
  give: ({ what }: { what: string }) => `Give ${what}.`,
  wrongField: ({ field, reason }: { field: string; reason: string }) => `${field}: ${reason}.`,
  notWritten: "Not written down. Try again.",
  writeAs: ({ me }: { me: string }) => `Write down as ${me}`,
  takenAt: "taken at",
  now: "now",
  takenLabel: "Taken at, as 14:05; empty: now",
  takenNow: "Taken now: judged like a device's values, an alarm may follow.",
  takenEarlier: "Taken earlier: kept and shown, and no alarm follows from it.",
  // What a field wants.
  number: "a number",
  flowAbove: "L/min, above 0",
  fractionAbove: "%, above 21",
  belowUpper: "below the upper pressure",
  timeOfDay: "a time of day, like 14:05",
  something: "at least one value, or a note",
};

export const limits = {
  region: "Alarm limits",
  title: "Alarm limits of this patient",
  noLimits: "The rules in force have no limits.",
  shipped: "The rules that ship are in force",
  inForce: ({ version, reason, author }: { version: number; reason: string; author: string }) =>
    `Version ${version} of the rules is in force: ${reason}, by ${author}`,
  // `since`: the time, null where the rules that ship are in force.
  ownOrNot: ({ inForce, since }: { inForce: string; since: Rich[number] }): Rich =>
    since === null
      ? rich`${inForce}. Who has no limit of their own has everybody's.`
      : rich`${inForce}, ${since}. Who has no limit of their own has everybody's.`,
  table: "Limits",
  alarm: "Alarm",
  everybodys: "Everybody's",
  thisPatient: "This patient",
  urgentBeyond: "Urgent beyond",
  countedNow: "24 h now",
  countedNowHint: "alarms in the last 24 h with the limits in force",
  draft: "Draft",
  draftHint: "alarms in the last 24 h with this draft",
  counting: "Counting what the last 24 hours would have alarmed…",
  notCounted: "Nothing is counted while a limit is not valid.",
  trial: ({ hours, now, draft }: { hours: string; now: Rich[number]; draft: Rich[number] }): Rich =>
    rich`In the last 24 h (${hours} h measured) the limits in force would have alarmed ${now}, this draft ${draft}.`,
  anew: "Counting anew…",
  times: ({ alarms, high }: { alarms: number; high: number }) => {
    const often = alarms === 1 ? "once" : alarms === 0 ? "never" : `${alarms} times`;
    return high > 0 ? `${often} (${high} high)` : often;
  },
  why: "Why",
  whyHint: "For example: COPD, 88–92 % agreed with Dr Ito",
  put: ({ me }: { me: string }) => `Put in force as ${me}`,
  discard: "Discard draft",
  wasPut: ({ version }: { version: number }) =>
    `In force with the next seconds, as version ${version} of the rules.`,
  noAnswer: "No answer. Try again.",
  notValid: "A limit is not valid.",
  unchanged: "Nothing is changed yet.",
  changed: ({ n }: { n: number }) => `${n} changed.`,
  sayWhy: ({ n }: { n: number }) => `${n} changed. Say why, then put them in force.`,
  rule: {
    low: ({ metric }: { metric: string }) => `${metric} below`,
    high: ({ metric }: { metric: string }) => `${metric} above`,
  },
  urgent: ({ limit }: { limit: string }) => `urgent ${limit}`,
  field: ({ rule }: { rule: string }) => `${rule}, this patient`,
  urgentField: ({ rule }: { rule: string }) => `${rule}, urgent beyond; empty: none`,
  none: "none",
  // What a limit must be.
  number: "a number",
  between: ({ lowest, highest }: { lowest: string; highest: string }) => `${lowest} to ${highest}`,
  aboveLow: ({ limit }: { limit: string }) => `above the low limit of ${limit}`,
  urgentMustLie: {
    low: "the urgent one must lie below the limit",
    high: "the urgent one must lie above the limit",
  },
};

export const handover = {
  region: "Handover",
  title: "Handover, one page",
  words: "For the next shift",
  wordsHint: "What to watch, what is planned (printed, not stored)",
  print: "Print",
  years: ({ age }: { age: number }) => `${age} years`,
  by: ({ me }: { me: string }) => `by ${me}`,
  now: ({ total, known, of }: { total: string; known: number; of: number }) =>
    `Now, and in the last 12 hours · NEWS2 ${total} (${known} of ${of} parts known)`,
  columns: { value: "Value", now: "Now", age: "Age", lowest: "Lowest", highest: "Highest", limits: "Limits" },
  limits: ({ low, high }: { low: string; high: string }) => `${low} to ${high}`,
  unusual: ({
    parts,
    model,
    version,
    score,
  }: {
    parts: readonly string[];
    model: string;
    version: string;
    score: string;
  }) => `Unusual for this patient: ${list(parts)} (${model} v${version}, score ${score})`,
  alarms: ({ n, newest }: { n: number; newest: number | null }) =>
    `Alarms of the last 12 hours: ${n}${newest === null ? "" : `, the newest ${newest} of them`}`,
  // Who has seen an alarm, and whose it is.
  hands: ({ seen, held }: { seen: string | null; held: string | null }) =>
    `${seen === null ? "" : `seen by ${seen}`}${held === null ? "" : `, with ${held}`}`,
};
