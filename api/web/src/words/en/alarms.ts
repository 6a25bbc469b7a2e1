// The inbox: alarms, what can be done about them, and what was done.

import { alarms, count, list } from "./count";

export const inbox = {
  title: "Alarms",
  which: "Which alarms",
  shelves: { all: "All", waiting: "Waiting", mine: "Mine" },
  several: "Several at once…",
  moreUrgent: ({ n }: { n: number }) => `↑ ${n} more urgent: show in order`,
  noneFits: ({ n }: { n: number }) => `None of the ${n} open alarms fits.`,
  find: "Find bed, name or words  ( / )",
  findLabel: "Find alarms by bed, name or words",
  manyPatients: "Many patients",
  episode: ({ n }: { n: number }) => `${n} alarms of one episode`,
  unseen: "Ended, nobody has seen it yet",
  acknowledgedBy: ({ by }: { by: string }) => `Acknowledged by ${by}`,
  acknowledged: ({ by, at, left }: { by: string; at: string | null; left: string | null }) =>
    `Acknowledged by ${by}${at === null ? "" : ` at ${at}`}${left === null ? "" : `, comes back in ${left}`}`,
  snoozed: ({ by, left, reason }: { by: string | null; left: string; reason: string | null }) =>
    `Snoozed${by === null ? "" : ` by ${by}`}, ${left} left${reason === null ? "" : `: ${reason}`}`,
  assignedTo: ({ to }: { to: string }) => `Assigned to ${to}`,
  assignedToMe: ({ me }: { me: string }) => `Assigned to ${me} (you)`,
  acknowledge: "Acknowledge",
  working: "…",
  snooze: "Snooze",
  assign: "Assign",
  note: "Note",
  escalate: "Escalate",
  escalateHint: "Whoever is next is told at once",
  resolve: "Resolve",
  toPatient: "Patient",
  worth: "What was it worth?",
  labels: { actionable: "Was right", false_alarm: "False alarm", artefact: "Artefact" },
  noneWaits: "No alarm waits.",
  wait: ({ n }: { n: number }) => `${n} ${count(n, { one: "alarm waits", other: "alarms wait" })}.`,
  handOver: ({ n }: { n: number }) => `Hand over ${n} to`,
  handOverNow: "Hand over",
  handedOver: ({ n, to }: { n: number; to: string }) => `${n} handed over to ${to}.`,
  notHandedOver: "Not handed over. Try again.",
  // What was just done, and can be taken back.
  did: {
    acknowledged: "Acknowledged",
    snoozed: ({ minutes }: { minutes: number }) => `Snoozed ${minutes} min`,
    assigned: ({ to }: { to: string }) => `Assigned to ${to}`,
    labelled: "Labelled",
  },
  didToOne: ({ what, where, alarm }: { what: string; where: string; alarm: string }) =>
    `${what}: ${where}, ${alarm}`,
  didToMany: ({ what, n }: { what: string; n: number }) => `${what}: ${n} alarms`,
  undo: "Undo",
  undoLeft: ({ s }: { s: number }) => `(${s} s)`,
  takenBack: ({ done, all }: { done: number; all: number }) =>
    `${done} of ${all} taken back: the others have changed since.`,
};

export const bulk = {
  title: "Acknowledge several alarms",
  care: "Only those you have looked at. Alarms of high priority are never ticked for you.",
  refused: ({ done, refused }: { done: number; refused: number }) =>
    `${done} acknowledged, ${refused} not: changed since, or refused. Look at them again.`,
  now: ({ n }: { n: number }) => `Acknowledge ${n} ${alarms(n)}`,
};

export const snooze = {
  quietFor: ({ most }: { most: number }) => `Quiet for (a worsening ends it; at most ${most} min)`,
  minutes: ({ n }: { n: number }) => `${n} min`,
  reason: "Reason",
  // Offered, and kept with the alarm as they stand.
  reasons: ["Care in progress", "Being seen to", "Sensor being changed"] as [string, ...string[]],
  now: ({ minutes }: { minutes: number }) => `Snooze ${minutes} min`,
  toMe: ({ me }: { me: string }) => `To me (${me})`,
  orTo: "Or to",
  note: "Note",
  noteHint: "What was seen or done",
  addNote: "Add note",
  whyOver: "Why it is over",
  whyOverHint: "For example: sensor replaced, SpO2 back to 95 %",
};

export const sound = {
  enable: "Sound is off: click to enable",
  pause: "Pause sound 2 min",
  resume: ({ left }: { left: string }) => `Sound paused here, ${left} left: resume`,
  volume: "Volume",
  test: "Test",
  off: "Turn sound off on this screen",
  states: { on: "sound on", off: "sound off", paused: "sound paused" },
};

export const story = {
  title: "What happened to this alarm",
  changes: {
    raised: "Raised",
    worsened: "Worse",
    cleared: "Condition ended",
    acknowledged: "Acknowledged",
    resolved: "Resolved",
    snoozed: "Snoozed",
    assigned: "Assigned",
    escalated: "Help called for",
    labelled: "Labelled",
    inhibited: "Held back behind another alarm",
    released: "No longer held back",
    found: "Found in late data",
    lapsed: "Acknowledgement ran out",
    resumed: "Snooze ran out",
    broken: "Now beyond the opposite limit",
    handed_over: "Handed over",
    noted: "Note",
    closed: "Closed",
  },
  labels: { actionable: "was right", false_alarm: "false alarm", artefact: "artefact" },
  takenBack: {
    lapsed: ({ by }: { by: string }) => `Acknowledgement taken back by ${by}`,
    resumed: ({ by }: { by: string }) => `Snooze taken back by ${by}`,
    assigned: ({ by }: { by: string }) => `Assignment taken back by ${by}`,
    labelled: ({ by }: { by: string }) => `Label taken back by ${by}`,
  },
  happened: ({
    what,
    to,
    by,
    until,
    note,
  }: Record<"to" | "by" | "until" | "note", string | null> & { what: string }) =>
    [
      what,
      to === null ? "" : ` to ${to}`,
      by === null ? "" : ` by ${by}`,
      until === null ? "" : ` until ${until}`,
      note === null ? "" : `: ${note}`,
    ].join(""),
  // Who was told of it.
  toldTitle: "Who was told",
  nobodyTold: "Nobody was told yet.",
  older: "Older notices are not shown.",
  told: ({ what, person, how, at, became }: Record<"what" | "person" | "how" | "at" | "became", string>) =>
    `${what}: ${person} ${how} ${at}, ${became}`,
  toldWhat: { reminder: "reminded", escalated: "told next", worse: "told that it is worse" },
  toldFirst: "told",
  channels: {
    page: "on the page",
    web_push: "by push",
    webhook: "by webhook",
    email: "by e-mail",
    apprise: "by message",
  },
  onItsWay: "on its way",
  notSent: ({ at }: { at: string }) => `not sent at ${at}, tried again`,
  notReached: ({ at }: { at: string }) => `not reached, given up ${at}`,
  became: ({ status, at }: { status: string; at: string }) => `${status} ${at}`,
  statuses: { sent: "sent", delivered: "delivered", read: "read" },
};

export const why = {
  since: ({ at }: { at: string }) => `since ${at}`,
  unusual: ({ model, version }: { model: string; version: string }) =>
    `What is unusual for this patient now (${model} v${version})`,
  shareOf: ({ metric }: { metric: string }) => `share of ${metric}`,
  offUsual: ({ off }: { off: string }) => `${off} from own usual`,
  rule: ({ rule, version, device }: { rule: string; version: number; device: string | null }) =>
    `Rule ${rule}, version ${version}${device === null ? "" : ` · device ${device}`}`,
  noValues: "No values are stored of this time.",
  // By the quality of a point.
  qualities: ["good", "questionable", "not plausible", "sensor off"] as [string, string, string, string],
  share: ({ percent, quality }: { percent: number; quality: string }) => `${percent} % ${quality}`,
  data: ({ shares }: { shares: readonly string[] }) => `Data of this time: ${list(shares)}`,
};
