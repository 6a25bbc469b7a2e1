// What a tile says of a patient's devices: only what matters, and only what is so now. Pure.

import type { Alarm } from "../types";
import { w } from "../words";

export interface Trouble {
  link: string | null; // in words, null: every device is heard
  battery: string | null;
  critical: boolean;
}

// A device that is silent says nothing of its battery either: that it was low is then why it may be silent, not how it is.
export function trouble(open: readonly Alarm[]): Trouble {
  const silent = of(open, "device_silent:");
  const gone = new Set(silent.map((a) => a.device));
  const low = of(open, "battery_low:");
  const known = low.filter((a) => !gone.has(a.device));
  const critical = known.some((a) => a.priority !== "low");
  const said =
    known.length > 0 ? (critical ? w.wall.battery.empty : w.wall.battery.low) : w.wall.battery.wasLow;
  return {
    link: silent.length > 0 ? w.wall.deviceSilent : null,
    battery: low.length > 0 ? said : null,
    critical,
  };
}

function of(open: readonly Alarm[], kind: string): Alarm[] {
  return open.filter((a) => a.condition.startsWith(kind));
}
