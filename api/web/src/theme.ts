// Dark or light: as chosen on this screen, else as the device wishes. Set on the root element before anything is drawn.

import { computed, effect, signal } from "@preact/signals";
import { kept, oneOf } from "./kept";

export type Theme = "dark" | "light";
const query = globalThis.matchMedia?.("(prefers-color-scheme: light)");
const wished = signal<Theme>(query?.matches ? "light" : "dark");
query?.addEventListener("change", (event) => {
  wished.value = event.matches ? "light" : "dark";
});
const chosen = kept<Theme | "device">("theme", "device", oneOf("dark", "light", "device"));
export const theme = computed<Theme>(() => (chosen.value === "device" ? wished.value : chosen.value));

export function switchTheme(): void {
  chosen.value = theme.peek() === "dark" ? "light" : "dark";
}

export function applyTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
  });
}
