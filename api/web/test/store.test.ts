import { beforeEach, describe, expect, it } from "vitest";
import { alarmList, alarms, beds, dataAsOfMs, fold, takeAlarm } from "../src/store";
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
  it("starts from nothing after a resync: no value, alarm or time of another feed stays", () => {
    const told = (seq: number, time: string, latest: Record<string, number>) =>
      fold({
        type: "snapshot",
        seq,
        alarms: [],
        feed_seq: seq,
        data_as_of: time,
        patients: [
          {
            id: "p-1",
            name: null,
            bed: "A-01",
            unit: null,
            age: null,
            sex: null,
            risk: null,
            alarms: { high: 0, medium: 0, low: 0 },
            latest: Object.fromEntries(
              Object.entries(latest).map(([m, value]) => [m, { value, time, quality: "good", unit: "" }]),
            ),
          },
        ],
      });
    told(1, "2026-03-01T10:00:00Z", { spo2: 97, temperature: 38.4 });
    takeAlarm(alarm({ version: 9 }));
    told(2, "2026-03-01T09:00:00Z", { spo2: 90 });
    expect(beds.value.get("p-1")?.value("spo2").value?.value).toBe(97); // older news of the same feed
    fold({ type: "resync", seq: 3, asked: 900, reason: "unknown" });
    expect(beds.value.size).toBe(1); // the wall stays while the snapshot is on its way
    told(4, "2026-03-01T09:00:00Z", { spo2: 90 });
    const bed = beds.value.get("p-1");
    expect(bed?.value("spo2").value?.value).toBe(90);
    expect(bed?.value("temperature").value).toBeUndefined();
    expect(bed?.traces.get("spo2")?.length).toBe(1);
    expect(dataAsOfMs.value).toBe(Date.parse("2026-03-01T09:00:00Z"));
    expect(alarmList.value).toEqual([]);
    takeAlarm(alarm({ version: 1 }));
    expect(alarmList.value.length).toBe(1);
  });
  it("gives a group no bed", () => {
    const group = alarm({ patient: "vigil-group-3.1", subject: "group", condition: "devices_silent" });
    fold({ type: "alarm", seq: 1, alarm: group, change: "raised", feed_seq: 1, recorded: true });
    fold({ type: "alarm", seq: 2, alarm: alarm({ id: "b" }), change: "raised", feed_seq: 2, recorded: true });
    expect([...beds.value.keys()]).toEqual(["p-1"]);
    expect(alarmList.value.length).toBe(2);
  });
});
