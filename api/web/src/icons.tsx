// Small inline pictures. Shape tells the priority as well as colour does.

import type { Priority } from "./types";

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
    <svg viewBox="0 0 16 16" class={`trend ${direction}`} role="img" aria-label={`trend ${direction}`}>
      <path d={path} fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" />
    </svg>
  );
}

export function LinkIcon() {
  return (
    <svg viewBox="0 0 16 16" class="icon" role="img" aria-label="device silent">
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
