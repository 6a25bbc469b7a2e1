import { describe, expect, it } from "vitest";
import { asked, episodeOf, snoozed, sorted, step, ticked, together, waits } from "../src/alarms/inbox";
import { lost, told as toldOf } from "../src/alarms/notices";
import { told } from "../src/alarms/Story";
import { BURSTS, due, sounds } from "../src/alarms/sound";
import { remaining } from "../src/alarms/undo";
import { alarm, NOW } from "./alarm";

const later = new Date(NOW + 60_000).toISOString();
const earlier = new Date(NOW - 60_000).toISOString();

describe("what waits for somebody", () => {
  it("is what nobody acknowledged and nobody put off", () => {
    expect(waits(alarm(), NOW)).toBe(true);
    expect(waits(alarm({ state: "latched" }), NOW)).toBe(true);
    expect(waits(alarm({ state: "acknowledged" }), NOW)).toBe(false);
    expect(waits(alarm({ snoozed_until: later }), NOW)).toBe(false);
  });
  it("waits again by itself when a snooze is over, whatever the server says", () => {
    expect(snoozed(alarm({ snoozed_until: later }), NOW + 60_001)).toBe(false);
    expect(waits(alarm({ snoozed_until: earlier }), NOW)).toBe(true);
  });
  it("comes before what is put off, however urgent that is", () => {
    const list = [
      alarm({ id: "put off", priority: "high", snoozed_until: later }),
      alarm({ id: "low", priority: "low" }),
      alarm({ id: "high", priority: "high" }),
      alarm({ id: "seen", priority: "high", state: "acknowledged" }),
    ];
    expect(sorted(list, NOW).map((a) => a.id)).toEqual(["high", "low", "put off", "seen"]);
  });
});

describe("the shelves and the search of the inbox", () => {
  const question = { shelf: "all", words: "", me: "Ann" } as const;
  it.each([
    ["all", true, true],
    ["waiting", true, false],
    ["mine", false, true],
  ] as const)("%s", (shelf, waiting, mine) => {
    const one = alarm();
    const other = alarm({ state: "acknowledged", assigned_to: "Ann" });
    expect(asked(one, { ...question, shelf }, "", NOW)).toBe(waiting);
    expect(asked(other, { ...question, shelf }, "", NOW)).toBe(mine);
  });
  it("finds every word, anywhere, in any case", () => {
    const found = (words: string) => asked(alarm(), { ...question, words }, "A-07 Rosa Mockup", NOW);
    expect(found("rosa SPO2")).toBe(true);
    expect(found("a-07  ")).toBe(true);
    expect(found("rosa pulse")).toBe(false);
  });
});

describe("taking back", () => {
  const done = [alarm({ id: "a", version: 2, state: "acknowledged" }), alarm({ id: "b", version: 4 })];
  it("is for alarms to which nothing has happened since", () => {
    const known = new Map(done.map((a) => [a.id, a]));
    expect(remaining(done, known)).toEqual(done);
    known.set("b", alarm({ id: "b", version: 5, priority: "high" }));
    expect(remaining(done, known).map((a) => a.id)).toEqual(["a"]);
    known.delete("a"); // over
    expect(remaining(done, known)).toEqual([]);
  });
});

describe("acknowledging several", () => {
  it("never ticks high priority, nor what ended unseen", () => {
    expect(ticked(alarm())).toBe(true);
    expect(ticked(alarm({ priority: "high" }))).toBe(false);
    expect(ticked(alarm({ state: "latched" }))).toBe(false);
  });
});

describe("moving by keyboard", () => {
  it.each([
    [null, 1, "a"],
    ["a", 1, "b"],
    ["c", 1, "c"],
    ["a", -1, "a"],
    ["gone", -1, "a"],
  ] as const)("from %s by %s", (from, by, to) => {
    expect(step(["a", "b", "c"], from, by)).toBe(to);
  });
  it("has nowhere to go in an empty list", () => expect(step([], "a", 1)).toBeNull());
});

describe("sound", () => {
  it("is of the most urgent alarm that waits; a technical one is low at most", () => {
    const high = alarm({ priority: "high" });
    expect(due([], NOW)).toBeNull();
    expect(due([alarm({ priority: "low" }), high], NOW)).toBe("high");
    expect(due([alarm({ priority: "high", lane: "technical" })], NOW)).toBe("low");
    expect(due([{ ...high, snoozed_until: later }, alarm({ state: "acknowledged" })], NOW)).toBeNull();
  });
  it("comes at once, again after the pause of its priority, and at once when it becomes more urgent", () => {
    expect(sounds({ priority: null, atMs: 0 }, "low", 0)).toBe(true);
    expect(sounds({ priority: "low", atMs: 0 }, "low", BURSTS.low.everyMs - 1)).toBe(false);
    expect(sounds({ priority: "low", atMs: 0 }, "low", BURSTS.low.everyMs)).toBe(true);
    expect(sounds({ priority: "low", atMs: 0 }, "high", 1)).toBe(true);
    expect(sounds({ priority: "high", atMs: 0 }, "low", 1)).toBe(false);
    expect(sounds({ priority: "high", atMs: 0 }, null, 99_999)).toBe(false);
  });
  it("has the pulses of its priority: ten, three, one, and none overlaps the next", () => {
    expect([BURSTS.high, BURSTS.medium, BURSTS.low].map((b) => b.starts.length)).toEqual([10, 3, 1]);
    for (const burst of Object.values(BURSTS))
      for (const [i, start] of burst.starts.entries())
        expect(start - (burst.starts[i - 1] ?? -1)).toBeGreaterThan(burst.pulseS);
  });
});

describe("what happened to an alarm, in words", () => {
  const event = {
    event_id: "e",
    change: "snoozed",
    state: "active",
    version: 2,
    at: "2026-03-01T10:00:00.000Z",
    text: "",
    actor: "Ann",
    note: "Care in progress",
    until: "2026-03-01T10:05:00.000Z",
  } as const;
  it("names who, until when, and why", () => {
    expect(told(event)).toMatch(/^Snoozed by Ann until \d\d:05:00: Care in progress$/);
    expect(told({ ...event, change: "assigned", note: "Ben", until: null })).toBe("Assigned to Ben by Ann");
    expect(told({ ...event, change: "labelled", note: "false_alarm", until: null })).toBe(
      "Labelled by Ann: false alarm",
    );
  });
  it("tells what somebody took back from what ended by itself", () => {
    const lapsed = { ...event, change: "lapsed", note: "taken back" };
    expect(told(lapsed)).toBe("Acknowledgement taken back by Ann");
    expect(told({ ...lapsed, actor: null, note: null, until: null })).toBe("Acknowledgement ran out");
    expect(told({ ...event, change: "assigned", to: "", note: "taken back" })).toBe(
      "Assignment taken back by Ann",
    );
    expect(told({ ...event, change: "labelled", note: null })).toBe("Label taken back by Ann");
  });
});

describe("episodes", () => {
  it("stand together where the first of them stands, and move nothing else", () => {
    const list = [
      alarm({ id: "a", episode: "e1" }),
      alarm({ id: "b" }),
      alarm({ id: "c", episode: "e2" }),
      alarm({ id: "d", episode: "e1" }),
      alarm({ id: "e", episode: null }),
    ];
    const found = together(list);
    expect(found.map((a) => a.id)).toEqual(["a", "d", "b", "c", "e"]);
    expect(found.map((_, at) => episodeOf(found, at))).toEqual([
      { follows: false, size: 2 },
      { follows: true, size: 2 },
      { follows: false, size: 1 },
      { follows: false, size: 1 },
      { follows: false, size: 1 },
    ]);
  });
});

describe("who was told", () => {
  const at = new Date(2026, 2, 1, 10, 2, 5).toISOString();
  const notice = (status: string | null) => ({
    id: "n",
    person: "N. Berg",
    channel: "email",
    kind: "alarm",
    created: at,
    status: status ?? "pending",
    receipts:
      status === null ? [] : [{ attempt: 1, status, at: new Date(2026, 2, 1, 10, 3, 11).toISOString() }],
  });
  it.each([
    [null, "told: N. Berg by e-mail 10:02:05, on its way", false],
    ["read", "told: N. Berg by e-mail 10:02:05, read 10:03:11", false],
    ["failed", "told: N. Berg by e-mail 10:02:05, not sent at 10:03:11, tried again", true],
    ["dead", "told: N. Berg by e-mail 10:02:05, not reached, given up 10:03:11", true],
  ])("%s", (status, words, loud) => {
    const found = notice(status);
    expect(toldOf(found, new Date(2026, 2, 1, 11).getTime())).toBe(words);
    expect(lost(found)).toBe(loud);
  });
});
