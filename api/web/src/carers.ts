// Who looks after whom, as the server says: asked again and again, since a shift ends by itself and others assign too.

import { computed, signal } from "@preact/signals";
import { getCarers, leavePatient, lookAfter } from "./api";
import { type Trouble, troubleOf } from "./panel";
import { nowMs, takeAlarm } from "./store";
import type { Carer } from "./types";

const REFRESH_MS = 10_000;

const known = signal<ReadonlyMap<string, Carer>>(new Map());
export const carersTrouble = signal<Trouble | null>(null); // why nothing newer is known

// Those whose time is not over; the same map while nothing changes, so that the clock and a repeated answer draw nothing.
let before: ReadonlyMap<string, Carer> = known.peek();
export const carers = computed(() => {
  const now = new Map([...known.value].filter(([, c]) => Date.parse(c.until) > nowMs.value));
  if (!same(before, now)) before = now;
  return before;
});

function same(one: ReadonlyMap<string, Carer>, other: ReadonlyMap<string, Carer>): boolean {
  return (
    one.size === other.size &&
    [...one].every(([patient, c]) => {
      const found = other.get(patient);
      return found?.person === c.person && found.until === c.until;
    })
  );
}

function look(): Promise<void> {
  return getCarers()
    .then((found) => {
      known.value = new Map(found.map((c) => [c.patient, c]));
      carersTrouble.value = null;
    })
    .catch((error: unknown) => {
      carersTrouble.value = troubleOf(error);
      if (carersTrouble.peek()?.kind === "denied") known.value = new Map();
    });
}

export function followCarers(): void {
  void look();
  window.setInterval(() => void look(), REFRESH_MS);
}

// Both throw what the server refuses. How many alarms changed hands.
export async function assignPatient(patient: string, to: string, hours: number): Promise<number> {
  const { carer, alarms } = await lookAfter(patient, to, hours);
  known.value = new Map(known.peek()).set(patient, carer);
  for (const alarm of alarms) takeAlarm(alarm);
  return alarms.length;
}

export async function releasePatient(patient: string): Promise<void> {
  await leavePatient(patient);
  const rest = new Map(known.peek());
  rest.delete(patient);
  known.value = rest;
}
