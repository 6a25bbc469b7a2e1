// The ward wall.

import type { Risk } from "../../types";
import { count } from "./count";

export const wall = {
  title: "Ward",
  hidden: ({ beds }: { beds: number }) =>
    `${beds} ${count(beds, { one: "bed", other: "beds" })} with alarms not shown: show all`,
  noneFits: "No bed fits what is asked for.",
  noPatients: "No patients yet. Send readings to the gateway and they appear here.",
  neverMeasured: "No data from this patient yet. Check the device and its link.",
  order: "Order of beds",
  byRisk: "By risk",
  byBed: "By bed",
  which: "Which beds",
  whichBeds: { all: "All beds", alarms: "With alarms", mine: "Mine" },
  unit: "Unit",
  allUnits: "All units",
  sizes: "Size of tiles",
  size: { auto: "Auto", s: "S", m: "M", l: "L" },
  kiosk: "Kiosk",
  carer: ({ person, until }: { person: string; until: string }) =>
    `${person} looks after this patient until ${until}`,
  snoozed: "Snoozed",
  snoozedFor: ({ left }: { left: string }) => `zz ${left}`,
  old: ({ age }: { age: string }) => `${age} old`,
  noData: "no data",
  // Of the smallest tiles.
  temperature: "T",
  trends: { up: "trend up", down: "trend down", level: "trend level" },
  deviceSilent: "device silent",
  battery: {
    empty: "battery nearly empty",
    low: "battery low",
    wasLow: "battery was low when last heard",
  },
  noScore: "No score yet",
  learning: "learning",
  deviation: ({ score }: { score: string }) => `Δ ${score}`,
  // What a model says of a patient, by its status.
  scores: {
    ok: ({ model }: { model: string }) => `${model}: deviation from the patient's own baseline`,
    not_ready: ({ model }: { model: string }) => `${model}: has not seen enough of this patient yet`,
    insufficient: ({ model }: { model: string }) => `${model}: too little usable data`,
    failed: ({ model }: { model: string }) => `${model}: gave no valid answer`,
  } satisfies Record<Risk["status"], (x: { model: string }) => string>,
};
