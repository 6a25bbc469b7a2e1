import { describe, expect, it } from "vitest";
import { byTrouble, summary } from "../src/charge/Devices";
import { covers } from "../src/charge/Teams";
import { offered } from "../src/pages";
import { summed } from "../src/SystemPage";
import type { DeviceRow, ProcessRow } from "../src/types";

describe("the pages that a role is offered", () => {
  it.each([
    ["nobody has to log in", null, ["ward", "charge", "system"]],
    ["a nurse", ["live.follow", "alarm.act", "system.see"], ["ward", "charge", "system"]],
    ["an administrator", ["burden.see", "system.see"], ["charge", "system"]],
    ["ops", ["system.see", "notice.read"], ["system"]],
  ])("%s", (_, may, found) => {
    expect(offered(may)).toEqual(found);
  });
});

const row = (name: string, more: Partial<ProcessRow> = {}): ProcessRow => ({
  name,
  room: name,
  state: "running",
  ready: true,
  answers: true,
  partitions: null,
  lag_records: null,
  records_per_second: null,
  batch_p95_ms: null,
  behind_seconds: null,
  stands_still_seconds: null,
  viewers: null,
  stages: {},
  ...more,
});

describe("the system at a glance", () => {
  it("adds up what processes say, and leaves open what none says", () => {
    const found = summed([
      row("processors", { lag_records: 3, records_per_second: 10.5, batch_p95_ms: 12 }),
      row("alerting", { lag_records: 0, batch_p95_ms: 40 }),
      row("api", { viewers: 2, batch_p95_ms: 250 }),
    ]);
    expect(found).toEqual({ lag: 3, rate: 10.5, viewers: 2, slowest: { name: "alerting", ms: 40 } });
    expect(summed([])).toEqual({ lag: null, rate: null, viewers: null, slowest: null });
  });
});

describe("a care team", () => {
  it("says whose it is", () => {
    const team = { name: "a", everybody: false, units: ["Ward A", "Ward B"], patients: 1, members: [] };
    expect(covers(team)).toBe("Ward A, Ward B, 1 patient by name");
    expect(covers({ ...team, units: [], patients: 0 })).toBe("nobody yet");
    expect(covers({ ...team, everybody: true })).toBe("every patient");
  });
});

describe("the devices", () => {
  const device = (name: string, more: Partial<DeviceRow> = {}): DeviceRow => ({
    patient: "p-1",
    device: name,
    silent_since: null,
    last_value: "2026-03-01T10:00:00.000Z",
    battery: null,
    battery_low_since: null,
    ...more,
  });
  const since = "2026-03-01T09:59:00.000Z";
  it("come with silent ones first, then those whose batteries are low", () => {
    const found = [
      device("fine"),
      device("low", { battery_low_since: since }),
      device("silent", { silent_since: since }),
    ];
    expect(found.sort(byTrouble).map((d) => d.device)).toEqual(["silent", "low", "fine"]);
    expect(summary(found)).toBe("3, 1 silent, 1 with a low battery");
    expect(summary([device("fine")])).toBe("1, none silent");
  });
});
