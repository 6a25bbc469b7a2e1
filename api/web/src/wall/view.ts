// How the wall is looked at: density, which beds, kiosk. Choices of this screen.

import { computed, signal } from "@preact/signals";
import { waits } from "../alarms/inbox";
import { carers } from "../carers";
import { isText, kept, oneOf } from "../kept";
import { alarmList, type Bed, beds, me, nowMs, shownOrder, steady } from "../store";
import type { Alarm } from "../types";

export type Density = "l" | "m" | "s";
export type Chosen = Density | "auto";
export type Which = "all" | "alarms" | "mine";

export const density = kept<Chosen>("density", "auto", oneOf("auto", "s", "m", "l"));
export const which = signal<Which>("all"); // never kept: a screen that starts shows everybody
export const unit = kept<string>("unit", "", isText);
export const kiosk = signal(new URLSearchParams(globalThis.location?.search ?? "").has("kiosk"));

// Least width and height of a tile, as the style has them; between two tiles and around all of them are 8 pixels.
const SIZES: Record<Density, [number, number]> = { l: [250, 232], m: [218, 198], s: [178, 112] };
const GAP = 8;
const TALLEST = 330;

// The figures of a tile as large as it can hold them, in pixels: a number is read from across the room. Of the size of a tile, by
// arithmetic: container queries would have the browser look at every tile with each new value.
export function figures(
  width: number,
  height: number,
  count: number,
  size: Density,
): { big: number; small: number } {
  const [least, lowest] = SIZES[size];
  const gap = size === "s" ? 6 : GAP;
  const across = width - 2 * GAP;
  const columns = Math.max(1, Math.floor((across + gap) / (least + gap)));
  const rows = Math.max(1, Math.ceil(count / columns));
  const w = (across - (columns - 1) * gap) / columns;
  const h = Math.min(TALLEST, Math.max(lowest, (height - 2 * GAP - (rows - 1) * gap) / rows));
  const between = (low: number, high: number, found: number) => Math.max(low, Math.min(high, found));
  return size === "s"
    ? {
        big: between(30, 46, Math.min(0.27 * h, 0.156 * w)),
        small: between(15, 22, Math.min(0.125 * h, 0.086 * w)),
      }
    : {
        big: between(40, 84, Math.min(0.22 * h, 0.205 * w)),
        small: between(23, 42, Math.min(0.115 * h, 0.094 * w)),
      };
}

// The largest tiles with which every bed is on the screen.
export function fitting(width: number, height: number, count: number): Density {
  for (const size of ["l", "m"] as const) {
    const [w, h] = SIZES[size];
    const columns = Math.max(1, Math.floor((width - GAP) / (w + GAP)));
    if (Math.ceil(count / columns) * (h + GAP) + GAP <= height) return size;
  }
  return "s";
}

export const units = computed(() => [
  ...new Set([...beds.value.values()].map((b) => b.who.value.unit).filter((u) => u !== null)),
]);

// Mine: whom I look after, and who has an alarm that is mine.
export function fits(bed: Bed, unitName: string, which: Which, name: string, now: number): boolean {
  if (unitName !== "" && bed.who.value.unit !== unitName) return false;
  const list: readonly Alarm[] = bed.alarms.value;
  if (which === "alarms") return list.some((a) => waits(a, now)) || list.length > 0;
  if (which === "all") return true;
  return carers.value.get(bed.id)?.person === name || list.some((a) => a.assigned_to === name);
}

// A unit that is gone must not hide everybody.
const unitShown = computed(() => (units.value.includes(unit.value) ? unit.value : ""));

export const visible = steady<string>(() => {
  const known = beds.value;
  if (unitShown.value === "" && which.value === "all") return shownOrder.value;
  return shownOrder.value.filter((id) => {
    const bed = known.get(id);
    return bed !== undefined && fits(bed, unitShown.value, which.value, me.value, nowMs.value);
  });
});

// Beds that call somebody and that the filter hides: said, so that a filter never silences an alarm.
export const hiddenCalling = computed(() => {
  const seen = new Set(visible.value);
  const calling = new Set(
    alarmList.value.filter((a) => a.subject !== "group" && waits(a, nowMs.value)).map((a) => a.patient),
  );
  return [...calling].filter((id) => !seen.has(id)).length;
});

export function showAll(): void {
  unit.value = "";
  which.value = "all";
}

export function initials(name: string): string {
  return name
    .split(/[\s-]+/)
    .filter(Boolean)
    .map((part) => `${[...part][0]?.toUpperCase()}.`)
    .join(" ");
}

export function enterKiosk(): void {
  kiosk.value = true;
  document.documentElement.requestFullscreen?.().catch(() => undefined); // without it the page is still a kiosk
}

// The browser's own way out of full screen leaves the kiosk too.
globalThis.document?.addEventListener("fullscreenchange", () => {
  if (document.fullscreenElement === null) kiosk.value = false;
});

export function leaveKiosk(): void {
  kiosk.value = false;
  if (document.fullscreenElement !== null) document.exitFullscreen().catch(() => undefined);
}
