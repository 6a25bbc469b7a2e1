// The connection as a pure state machine: what each event means, and when to say that the feed cannot be trusted.

export type Link = "connecting" | "live" | "stale" | "lost";

export interface Connection {
  link: Link;
  lastSeq: number;
  lastHeardMs: number; // monotonic
  attempts: number;
  feedSeq: number | null; // newest recorded alarm change seen; where to resume
}

export const SILENT_AFTER_MS = 15_000;

export const start: Connection = {
  link: "connecting",
  lastSeq: 0,
  lastHeardMs: 0,
  attempts: 0,
  feedSeq: null,
};

export function opened(c: Connection, nowMs: number): Connection {
  return { ...c, lastSeq: 0, lastHeardMs: nowMs };
}

// A frame arrived. `gap` asks for a new connection: something was missed, and what is shown may be calm by mistake.
export function heard(
  c: Connection,
  seq: number,
  feedSeq: number | null,
  snapshot: boolean,
  nowMs: number,
): { connection: Connection; gap: boolean } {
  if (seq !== c.lastSeq + 1) return { connection: c, gap: true };
  const known = feedSeq === null ? c.feedSeq : Math.max(feedSeq, c.feedSeq ?? 0);
  const link = snapshot || c.link === "live" || c.link === "stale" ? "live" : c.link;
  return {
    connection: {
      link,
      lastSeq: seq,
      lastHeardMs: nowMs,
      attempts: snapshot ? 0 : c.attempts,
      feedSeq: known,
    },
    gap: false,
  };
}

// The server does not have the place in its feed where this page was: forget it. Nothing is live until the snapshot that follows.
export function lostPlace(c: Connection): Connection {
  return { ...c, link: "connecting", feedSeq: null };
}

export function closed(c: Connection): Connection {
  return { ...c, link: "lost", attempts: c.attempts + 1 };
}

export function passed(c: Connection, nowMs: number): Connection {
  return c.link === "live" && nowMs - c.lastHeardMs > SILENT_AFTER_MS ? { ...c, link: "stale" } : c;
}

// Exponential with full jitter, so that a thousand screens do not come back in the same instant.
export function backoffMs(attempts: number, random: number): number {
  return 250 + random * Math.min(8000, 500 * 2 ** Math.min(attempts, 6));
}
