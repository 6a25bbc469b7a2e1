import { beforeEach, describe, expect, it } from "vitest";
import { alarmList, alarms, beds, fold, takeAlarm } from "../src/store";
import { alarm as filled } from "./alarm";

const alarm = (more: Parameters<typeof filled>[0] = {}) =>
  filled({ condition: "device_silent:d-1", lane: "technical", metric: null, ...more });

describe("alarms on the screen", () => {
  beforeEach(() => {
    alarms.value = new Map();
    beds.value = new Map();
  });
  it("shows those that call, and none that only keep something", () => {
    for (const state of ["active", "inhibited", "retrospective", "latched", "resolved"] as const)
      takeAlarm(alarm({ id: state, state }));
    expect(alarmList.value.map((a) => a.state).sort()).toEqual(["active", "latched"]);
  });
  it("shows one that was held back when it is released", () => {
    takeAlarm(alarm({ state: "inhibited" }));
    takeAlarm(alarm({ version: 2 }));
    expect(alarmList.value.map((a) => a.id)).toEqual(["a"]);
  });
  it("gives a group no bed", () => {
    const group = alarm({ patient: "vigil-group-3.1", subject: "group", condition: "devices_silent" });
    fold({ type: "alarm", seq: 1, alarm: group, change: "raised", feed_seq: 1, recorded: true });
    fold({ type: "alarm", seq: 2, alarm: alarm({ id: "b" }), change: "raised", feed_seq: 2, recorded: true });
    expect([...beds.value.keys()]).toEqual(["p-1"]);
    expect(alarmList.value.length).toBe(2);
  });
});
