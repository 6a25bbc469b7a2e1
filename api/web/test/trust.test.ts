// What the page says about itself, and in which order of urgency.

import { beforeEach, expect, test } from "vitest";
import { canary, connection, dataAsOfMs, kafka, nowMs } from "../src/store";
import { caution, trouble } from "../src/Trust";

const NOW = Date.parse("2026-03-01T10:00:00Z");

beforeEach(() => {
  connection.value = { ...connection.value, link: "live" };
  kafka.value = "ok";
  canary.value = "ok";
  nowMs.value = NOW;
  dataAsOfMs.value = NOW - 1000;
});

test("a sound stream needs no words", () => {
  expect(trouble.value).toBeNull();
  expect(caution.value).toBeNull();
});

test("values that are older than 15 s are said to be, while the server lives and its stream is dead", () => {
  nowMs.value = NOW + 14_000;
  expect(trouble.value).toBeNull();
  nowMs.value = NOW + 15_000;
  expect(trouble.value).toContain("No data for 16 s");
});

test("a canary that does not come through is said, also while other values still come", () => {
  canary.value = "dead";
  expect(trouble.value).toContain("New values and alarms may be missing");
});

test.each(["starting", "ok", "late", null] as const)("a canary that is %s is no news", (said) => {
  canary.value = said;
  expect(trouble.value ?? caution.value).toBeNull();
});

test("a canary that is gone does not make living values dead", () => {
  canary.value = "unknown";
  expect(trouble.value).toBeNull();
  expect(caution.value).toContain("Nothing watches");
});
