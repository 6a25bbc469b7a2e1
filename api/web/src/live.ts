// The socket: one connection for the whole page, opened again by itself, never trusted when it is silent.

import { batch } from "@preact/signals";
import { offer, over } from "./access/session";
import { tickSound } from "./alarms/sound";
import { backoffMs, closed, heard, lostPlace, opened, passed } from "./connection";
import { arrange, arrangeInbox, connection, fold, nowMs, serverOffsetMs, waiting } from "./store";
import type { Frame } from "./types";

let socket: WebSocket | null = null;

const SESSION_OVER = 4401;

export async function connect(): Promise<void> {
  const protocols = await offer();
  if (protocols === null) {
    connection.value = closed(connection.peek());
    window.setTimeout(connect, backoffMs(connection.peek().attempts, Math.random()));
    return;
  }
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const ws = new WebSocket(`${scheme}://${location.host}/api/v1/live`, protocols);
  socket = ws;
  ws.onopen = () => {
    connection.value = opened(connection.peek(), performance.now());
    const resume = connection.peek().feedSeq;
    ws.send(JSON.stringify(resume === null ? { type: "hello" } : { type: "hello", resume_feed_seq: resume }));
  };
  ws.onmessage = (event: MessageEvent<string>) => {
    if (socket !== ws) return;
    const frame = JSON.parse(event.data) as Frame;
    const feedSeq = frame.type === "alarm" || frame.type === "snapshot" ? frame.feed_seq : null;
    const { connection: next, gap } = heard(
      connection.peek(),
      frame.seq,
      feedSeq,
      frame.type === "snapshot",
      performance.now(),
    );
    if (gap) {
      ws.close(4000, "sequence gap");
      return;
    }
    connection.value = frame.type === "resync" ? lostPlace(next) : next;
    if (frame.type === "vitals" && due(OFTEN_MS))
      batch(() => {
        fold(frame);
        tick();
      });
    else fold(frame);
    if (frame.type === "snapshot") arrange(performance.now(), true);
    if (frame.type === "snapshot" || frame.type === "alarm") {
      arrangeInbox(performance.now(), frame.type === "snapshot");
      tickSound(waiting.peek(), nowMs.peek(), performance.now()); // an alarm is heard when it comes, not at the next second
    }
  };
  ws.onclose = (event) => {
    if (socket !== ws) return;
    socket = null;
    if (event.code === SESSION_OVER) over();
    connection.value = closed(connection.peek());
    window.setTimeout(connect, backoffMs(connection.peek().attempts, Math.random()));
  };
}

// Once a second, values and clock in one step where values come: what depends on both is looked at once. Without values the clock
// goes on alone.
const SECOND_MS = 1_000;
const OFTEN_MS = 900;
const LOOK_MS = 100;
let tickedMs = Number.NEGATIVE_INFINITY;

const due = (afterMs: number): boolean => performance.now() - tickedMs >= afterMs;

export function startClock(): void {
  window.setInterval(() => {
    if (due(SECOND_MS + LOOK_MS)) tick();
  }, LOOK_MS);
}

// The clock moves on, values age, and a silent feed is called silent.
function tick(): void {
  tickedMs = performance.now();
  nowMs.value = Date.now() + serverOffsetMs.peek();
  const before = connection.peek();
  const after = passed(before, performance.now());
  if (after !== before) {
    connection.value = after;
    socket?.close(4001, "no heartbeat");
  }
  arrange(performance.now());
  arrangeInbox(performance.now());
  tickSound(waiting.peek(), nowMs.peek(), performance.now());
}
