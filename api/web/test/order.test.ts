import { describe, expect, it } from "vitest";
import { HOLD_MS, held, order, type Placed } from "../src/order";

const bed = (id: string, more: Partial<Placed> = {}): Placed => ({
  id,
  bed: id,
  worst: null,
  acknowledged: false,
  score: null,
  ...more,
});

describe("order of beds", () => {
  it("puts the most urgent first: priority, then score, then bed", () => {
    const ward = [
      bed("2"),
      bed("10", { score: 6 }),
      bed("1"),
      bed("4", { worst: "medium" }),
      bed("3", { worst: "high" }),
    ];
    expect(order(ward, "risk")).toEqual(["3", "4", "10", "1", "2"]);
  });
  it("puts acknowledged alarms after waiting ones and before calm beds", () => {
    expect(order([bed("1"), bed("2", { acknowledged: true }), bed("3", { worst: "low" })], "risk")).toEqual([
      "3",
      "2",
      "1",
    ]);
  });
  it("counts beds as people do: 2 before 10", () => {
    expect(order([bed("Bed 10"), bed("Bed 2")], "bed")).toEqual(["Bed 2", "Bed 10"]);
  });
  it("does not swap two beds whose scores differ by less than one", () => {
    expect(order([bed("1", { score: 3.1 }), bed("2", { score: 3.4 })], "risk")).toEqual(["1", "2"]);
  });
});

describe("holding the order under the pointer", () => {
  it("keeps the order while somebody points, adds new beds at the end and drops gone ones", () => {
    expect(held(["a", "b", "c"], ["c", "a", "d"], 1000, 1000 + HOLD_MS - 1)).toEqual(["a", "c", "d"]);
  });
  it("takes the wanted order once the pointer has rested", () => {
    expect(held(["a", "b"], ["b", "a"], 1000, 1000 + HOLD_MS)).toEqual(["b", "a"]);
  });
  it("gives back the same list when nothing changes, so that nothing is drawn", () => {
    const now = ["a", "b"];
    expect(held(now, ["a", "b"], -1e9, 0)).toBe(now);
  });
});
