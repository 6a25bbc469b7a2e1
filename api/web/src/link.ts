// The link in a message to a person: `#/alarms/ID` chooses that alarm and opens its patient, as soon as the alarm is known here.

import { effect, signal } from "@preact/signals";
import { alarms, openPatient, selectedAlarm } from "./store";

export function alarmOf(hash: string): string | null {
  return /^#\/alarms\/([\w-]{1,128})$/.exec(hash)?.[1] ?? null;
}

const wanted = signal<string | null>(null);

export function followLinks(): void {
  const look = (): void => {
    wanted.value = alarmOf(location.hash) ?? wanted.value;
  };
  look();
  window.addEventListener("hashchange", look);
  effect(() => {
    const alarm = wanted.value === null ? undefined : alarms.value.get(wanted.value);
    if (alarm === undefined) return;
    wanted.value = null;
    selectedAlarm.value = alarm.id;
    if (alarm.subject !== "group") openPatient.value = alarm.patient;
  });
}
