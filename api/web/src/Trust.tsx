// Can what is on the screen be believed? Always visible.

import { computed } from "@preact/signals";
import { age } from "./stale";
import { canary, connection, dataAsOfMs, demo, kafka, notice, nowMs } from "./store";
import { OrderSwitch } from "./wall/Wall";

const DATA_OLD_S = 15;

export const trouble = computed<string | null>(() => {
  const link = connection.value.link;
  if (link === "lost") return "Connection lost. The values below are not live. Trying again…";
  if (link === "stale") return "The feed has gone silent. The values below are not live. Trying again…";
  if (link === "connecting") return null;
  if (kafka.value === "away") return "The data stream is away. New values and alarms may be missing.";
  if (canary.value === "dead")
    return "Readings no longer come through the data stream. New values and alarms may be missing.";
  const asOf = dataAsOfMs.value;
  if (asOf !== null && nowMs.value - asOf > DATA_OLD_S * 1000)
    return `No data for ${age(Math.floor((nowMs.value - asOf) / 1000))}. The values below are not live.`;
  return null;
});

// What is shown is live, but nobody would say so if it were not.
export const caution = computed<string | null>(() =>
  connection.value.link === "live" && canary.value === "unknown"
    ? "Nothing watches over the data stream any more: if it stops, this screen may not say so."
    : null,
);

export function Header() {
  const asOf = dataAsOfMs.value;
  return (
    <header class="top">
      <span class="brand">
        <img src="/favicon.svg" alt="" width="22" height="22" /> Vigil
      </span>
      {demo.value && (
        <strong class="demo" data-testid="demo-mark">
          DEMO
        </strong>
      )}
      <OrderSwitch />
      <span class="space" />
      <span
        class={`link ${trouble.value === null ? connection.value.link : "lost"}`}
        data-testid="link"
        data-link={connection.value.link}
      >
        {connection.value.link === "live" && trouble.value === null
          ? "Live"
          : connection.value.link === "connecting"
            ? "Connecting"
            : "Not live"}
      </span>
      <span class="as-of" data-testid="as-of">
        data as of {asOf === null ? "–" : clock(asOf)}
      </span>
      <ThemeSwitch />
    </header>
  );
}

export function Banner() {
  return (
    <div role="alert" class="banner-place">
      {(trouble.value ?? caution.value) !== null && (
        <div class="banner" data-testid="banner">
          {trouble.value ?? caution.value}
        </div>
      )}
    </div>
  );
}

export function Footer() {
  return (
    <footer>
      {notice.value || "Not a certified alarm system. Secondary display: confirm at the bedside."}
      <span class="space" />
      <kbd>j</kbd>
      <kbd>k</kbd> move <kbd>a</kbd> acknowledge <kbd>Esc</kbd> close
    </footer>
  );
}

function ThemeSwitch() {
  const toggle = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : !window.matchMedia("(prefers-color-scheme: light)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  };
  return (
    <button type="button" class="plain" onClick={toggle} aria-label="Switch between dark and light">
      ◐
    </button>
  );
}

export function clock(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}
