// Small inline pictures. Shape tells the priority as well as colour does.

import type { Priority } from "./types";
import { w } from "./words";

export function PriorityIcon({ priority, technical }: { priority: Priority; technical: boolean }) {
  if (technical)
    return (
      <svg viewBox="0 0 16 16" class="icon" aria-hidden="true">
        <rect x="2" y="2" width="12" height="12" rx="2" fill="none" stroke="currentColor" stroke-width="2" />
        <path d="M5 11 11 5" stroke="currentColor" stroke-width="2" />
      </svg>
    );
  if (priority === "high")
    return (
      <svg viewBox="0 0 16 16" class="icon" aria-hidden="true">
        <path d="M8 1 15 14H1Z" fill="currentColor" />
        <path d="M8 5.5v4M8 11.2v1.4" stroke="var(--alarm-hole)" stroke-width="1.8" />
      </svg>
    );
  if (priority === "medium")
    return (
      <svg viewBox="0 0 16 16" class="icon" aria-hidden="true">
        <path d="M8 1 15 8 8 15 1 8Z" fill="currentColor" />
      </svg>
    );
  return (
    <svg viewBox="0 0 16 16" class="icon" aria-hidden="true">
      <circle cx="8" cy="8" r="5" fill="none" stroke="currentColor" stroke-width="2.4" />
    </svg>
  );
}

export function TrendIcon({ direction }: { direction: "up" | "down" | "level" }) {
  const path = { up: "M3 12 12 4M7 4h5v5", down: "M3 4l9 8M7 12h5V7", level: "M2 8h11M9 4l4 4-4 4" }[
    direction
  ];
  return (
    <svg viewBox="0 0 16 16" class={`trend ${direction}`} role="img" aria-label={w.wall.trends[direction]}>
      <path d={path} fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" />
    </svg>
  );
}

export function LinkIcon({ label }: { label: string }) {
  return (
    <svg viewBox="0 0 16 16" class="icon" role="img" aria-label={label} data-testid="link-icon">
      <title>{label}</title>
      <path
        d="M2 6a9 9 0 0 1 12 0M4.5 9a5 5 0 0 1 7 0M8 12.5v.5M2 14 14 2"
        fill="none"
        stroke="currentColor"
        stroke-width="1.8"
        stroke-linecap="round"
      />
    </svg>
  );
}

// How little is left, and not how much: the level with its age is on the charge nurse's page.
export function BatteryIcon({ label, critical }: { label: string; critical: boolean }) {
  return (
    <svg viewBox="0 0 16 16" class="icon" role="img" aria-label={label} data-testid="battery-icon">
      <title>{label}</title>
      <rect x="1" y="4.5" width="12" height="7" rx="1" fill="none" stroke="currentColor" stroke-width="1.8" />
      <path d="M15 6.7v2.6" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" />
      {critical ? (
        <path d="M2 14 14 2" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" />
      ) : (
        <rect x="2.6" y="6.1" width="2.4" height="3.8" fill="currentColor" />
      )}
    </svg>
  );
}
