// An alarm with the boring fields filled.

import type { Alarm } from "../src/types";

export const NOW = Date.parse("2026-03-01T10:00:30.000Z");

export const alarm = (more: Partial<Alarm> = {}): Alarm => ({
  id: "a",
  patient: "p-1",
  subject: "patient",
  device: "d-1",
  condition: "spo2_low",
  rule_version: 1,
  lane: "physiological",
  priority: "medium",
  metric: "spo2",
  text: "**SpO2 86 < 90",
  reasons: [],
  state: "active",
  version: 1,
  onset: "2026-03-01T10:00:00.000Z",
  raised: "2026-03-01T10:00:30.000Z",
  cleared: null,
  resolved: null,
  acknowledged_by: null,
  acknowledged_at: null,
  assigned_to: null,
  snoozed_until: null,
  label: null,
  ...more,
});
