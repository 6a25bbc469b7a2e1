import { describe, expect, it } from "vitest";
import { census, holders, loads } from "../src/charge/census";
import { pageOf } from "../src/pages";
import { alarm, NOW } from "./alarm";

const later = new Date(NOW + 60_000).toISOString();
const bed = (id: string, unit: string | null, ...alarms: ReturnType<typeof alarm>[]) => ({
  id,
  bed: id,
  name: null,
  unit,
  measured: id !== "b4",
  alarms,
});
const carer = (patient: string, person: string) => ({
  patient,
  person,
  assigned_by: "Cara",
  since: later,
  until: later,
});

describe("the census", () => {
  it("counts each bed once, by the most urgent alarm that waits", () => {
    const found = census(
      [
        bed("b1", "A", alarm({ priority: "high" }), alarm({ priority: "low" })),
        bed("b2", "A", alarm({ lane: "technical" })),
        bed("b3", "A", alarm({ state: "acknowledged" }), alarm({ priority: "high", snoozed_until: later })),
        bed("b4", null),
      ],
      NOW,
    );
    expect(found).toEqual([
      { unit: "A", beds: 3, calling: { high: 1, medium: 0, low: 0 }, technical: 1, quiet: 1, unseen: 0 },
      {
        unit: "no unit",
        beds: 1,
        calling: { high: 0, medium: 0, low: 0 },
        technical: 0,
        quiet: 0,
        unseen: 1,
      },
    ]);
  });
  it("says who has how much, what is nobody's first", () => {
    const found = loads(
      [
        alarm({ id: "a", patient: "p1", assigned_to: "Berg" }),
        alarm({ id: "b", patient: "p1", assigned_to: "Berg", state: "acknowledged" }),
        alarm({ id: "c", patient: "p2" }),
      ],
      [carer("p1", "Berg"), carer("p3", "Berg"), carer("p4", "Ito")],
      NOW,
    );
    expect(found).toEqual([
      { name: "", patients: 0, waiting: 1, open: 1 },
      { name: "Berg", patients: 2, waiting: 1, open: 2 },
      { name: "Ito", patients: 1, waiting: 0, open: 0 },
    ]);
    expect(holders([alarm({ assigned_to: "Berg" }), alarm({})])).toEqual(["", "Berg"]);
  });
  it("is one of the pages; an address that is none is the ward", () => {
    expect(["#charge", "#/system", "", "#elsewhere"].map(pageOf)).toEqual([
      "charge",
      "system",
      "ward",
      "ward",
    ]);
  });
});
