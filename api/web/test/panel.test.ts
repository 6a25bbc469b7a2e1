import { describe, expect, it } from "vitest";
import { ApiError } from "../src/api";
import { said, troubleOf } from "../src/panel";
import { happenings } from "../src/patient/timeline";
import type { Observation } from "../src/types";
import { w } from "../src/words";
import { alarm } from "./alarm";

describe("a panel without an answer", () => {
  it.each([
    [403, "denied", "You may not see the devices. No."],
    [404, "absent", "This server does not have the devices."],
    [503, "away", "The devices cannot be read now: No. It is tried again by itself."],
    [0, "away", "The devices cannot be read now: No. It is tried again by itself."],
    [422, "failed", "The devices cannot be read: No."],
  ])("%i says why", (status, kind, words) => {
    const found = troubleOf(new ApiError(status, "No."));
    expect(found.kind).toBe(kind);
    expect(said(found, w.things.devices)).toBe(words);
  });
});

describe("the timeline", () => {
  it("holds alarms, who has seen them, their end, and observations, newest first", () => {
    const at = (minute: number): string => new Date(minute * 60_000).toISOString();
    const one = alarm({ id: "a", onset: at(10), acknowledged_at: at(12), resolved: at(30) });
    const note: Observation = {
      id: 4,
      patient: "p",
      author: "n.berg",
      taken: at(11),
      recorded: at(11),
      readings: [],
      note: "sat up",
      device: "manual-entry",
    };
    const found = happenings([one], [note], 0, 20 * 60_000);
    expect(found.map((h) => [h.kind, h.atMs / 60_000])).toEqual([
      ["seen", 12],
      ["observation", 11],
      ["alarm", 10],
    ]);
  });
});
