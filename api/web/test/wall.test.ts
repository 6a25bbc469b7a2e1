// What stands still, what is hidden, and that neither happens in silence.

import { beforeEach, describe, expect, it } from "vitest";
import {
  alarms,
  arrange,
  arrangeInbox,
  bedOf,
  beds,
  inboxPointed,
  nowMs,
  outOfPlace,
  shelf,
  shownAlarms,
  takeAlarm,
  unacknowledged,
  words,
} from "../src/store";
import { trouble } from "../src/wall/devices";
import { figures, fitting, hiddenCalling, showAll, unit, visible, which } from "../src/wall/view";
import { alarm, NOW } from "./alarm";

beforeEach(() => {
  alarms.value = new Map();
  beds.value = new Map();
  nowMs.value = NOW;
  shelf.value = "all";
  words.value = "";
  showAll();
  inboxPointed(Number.NEGATIVE_INFINITY);
  arrangeInbox(0, true);
});

describe("the inbox under the pointer", () => {
  it("holds still, says that something more urgent came, and shows it when the pointer rests or on demand", () => {
    takeAlarm(alarm({ id: "a" }));
    takeAlarm(alarm({ id: "b", priority: "low" }));
    arrangeInbox(1_000);
    inboxPointed(1_000);
    takeAlarm(alarm({ id: "urgent", priority: "high" }));
    arrangeInbox(2_000);
    expect(shownAlarms.value).toEqual(["a", "b", "urgent"]);
    expect(outOfPlace.value).toBe(1);
    arrangeInbox(5_000);
    expect(shownAlarms.value).toEqual(["urgent", "a", "b"]);
    expect(outOfPlace.value).toBe(0);
  });
  it("counts an alarm again when its snooze is over, without a word from the server", () => {
    takeAlarm(alarm({ id: "a", snoozed_until: new Date(NOW + 5_000).toISOString() }));
    expect(unacknowledged.value).toBe(0);
    nowMs.value = NOW + 5_001;
    expect(unacknowledged.value).toBe(1);
  });
});

describe("filters of the wall", () => {
  it("say how many beds call somebody and are not shown", () => {
    for (const [id, name] of [
      ["p-1", "A"],
      ["p-2", "B"],
    ] as const) {
      const bed = bedOf(id);
      bed.who.value = { ...bed.who.value, unit: name, bed: id };
    }
    takeAlarm(alarm({ patient: "p-2" }));
    arrange(0, true);
    expect(visible.value).toEqual(["p-2", "p-1"]);
    expect(hiddenCalling.value).toBe(0);
    unit.value = "A";
    expect(visible.value).toEqual(["p-1"]);
    expect(hiddenCalling.value).toBe(1);
    unit.value = "";
    which.value = "alarms";
    expect(visible.value).toEqual(["p-2"]);
  });
  it("of a unit that is gone hide nobody", () => {
    bedOf("p-1");
    arrange(0, true);
    unit.value = "closed ward";
    expect(visible.value).toEqual(["p-1"]);
  });
});

describe("the size of tiles", () => {
  it.each([
    [1548, 1000, 12, "l"],
    [1548, 1000, 20, "l"],
    [1548, 1000, 24, "m"],
    [1548, 1000, 64, "s"],
  ] as const)("on %s by %s for %s beds is %s", (width, height, count, size) => {
    expect(fitting(width, height, count)).toBe(size);
  });
  it("leaves figures as much room as there is, three digits beside each other at least", () => {
    const sixty = figures(1548, 1000, 64, "s");
    const few = figures(1548, 1000, 24, "l");
    expect(sixty.big).toBe(30);
    expect(few.big).toBeGreaterThan(48);
    const four = figures(1548, 1000, 4, "l");
    expect([four.big, four.small].map(Math.round)).toEqual([61, 28]);
    // A digit is 0.64 of its size wide; half a tile less its margins must hold three.
    for (const [width, count, size] of [
      [1548, 24, "l"],
      [1036, 12, "m"],
    ] as const) {
      const tile = figures(width, 900, count, size);
      expect(tile.big * 0.64 * 3).toBeLessThan(tile.big / 0.205 / 2 - 10);
    }
  });
});

describe("what a tile says of devices", () => {
  const low = alarm({ condition: "battery_low:d-1", lane: "technical", priority: "low" });
  const silent = alarm({ condition: "device_silent:d-1", lane: "technical" });
  it("is nothing while all is well", () => {
    expect(trouble([alarm()])).toEqual({ link: null, battery: null, critical: false });
  });
  it("is how the battery is, and more when it is nearly empty", () => {
    expect(trouble([low])).toEqual({ link: null, battery: "battery low", critical: false });
    expect(trouble([{ ...low, priority: "medium" }]).battery).toBe("battery nearly empty");
  });
  it("never tells an old level as how it is now", () => {
    expect(trouble([{ ...low, priority: "medium" }, silent])).toEqual({
      link: "device silent",
      battery: "battery was low when last heard",
      critical: false,
    });
    expect(trouble([low, { ...silent, device: "d-2" }]).battery).toBe("battery low");
  });
});
