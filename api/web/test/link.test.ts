import { describe, expect, it } from "vitest";
import { alarmOf, followLinks } from "../src/link";
import { pageOf } from "../src/pages";
import { alarms, openPatient, selectedAlarm } from "../src/store";
import { alarm } from "./alarm";

describe("the link in a message", () => {
  it("names an alarm, and is none of the pages", () => {
    expect(alarmOf("#/alarms/3b1f0c7c2a6e")).toBe("3b1f0c7c2a6e");
    expect(pageOf("#/alarms/3b1f0c7c2a6e")).toBe("ward");
    for (const hash of ["", "#charge", "#/alarms/", "#/alarms/a/b", "#/alarms/<b>"])
      expect(alarmOf(hash)).toBeNull();
  });
  it("opens the alarm's patient as soon as the alarm is known, and once", () => {
    const heard: (() => void)[] = [];
    Object.assign(globalThis, {
      location: { hash: "#/alarms/a1" },
      window: { addEventListener: (_: string, listener: () => void) => heard.push(listener) },
    });
    followLinks();
    expect(openPatient.value).toBeNull();
    const found = alarm({ id: "a1" });
    alarms.value = new Map([["a1", found]]);
    expect([selectedAlarm.value, openPatient.value]).toEqual(["a1", found.patient]);
    openPatient.value = null;
    alarms.value = new Map([["a1", { ...found, version: 2 }]]);
    expect(openPatient.value).toBeNull();
  });
});
