// What a panel asks the server for, and what it says while there is no answer, when there is none, and when there may be none.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api";
import { nowMs } from "./store";
import { clock } from "./times";
import { w } from "./words";
import type { Thing } from "./words/en/things";

export type Kind = "denied" | "absent" | "away" | "failed";

export interface Trouble {
  kind: Kind;
  words: string;
}

export function troubleOf(error: unknown): Trouble {
  if (!(error instanceof ApiError)) return { kind: "failed", words: w.panels.unknownReason };
  const words = error.message;
  if (error.status === 401 || error.status === 403) return { kind: "denied", words };
  if (error.status === 404 || error.status === 405) return { kind: "absent", words };
  if (error.status === 0 || error.status === 429 || error.status >= 500) return { kind: "away", words };
  return { kind: "failed", words };
}

export interface Asked<T> {
  data: T | null; // the newest answer; what may not be seen any more is gone
  atMs: number | null;
  trouble: Trouble | null;
  again: () => void;
}

// Asks at once, again every `everyMs` while the panel is there (0: once), and anew when `key` changes.
export function useAsked<T>(key: string, ask: () => Promise<T>, everyMs: number): Asked<T> {
  const [answer, setAnswer] = useState<{ key: string; data: T; atMs: number } | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [turn, setTurn] = useState(0);
  const asking = useRef(ask);
  asking.current = ask;
  useEffect(() => {
    let gone = false;
    const load = () => {
      asking
        .current()
        .then((data) => {
          if (gone) return;
          setAnswer({ key, data, atMs: nowMs.peek() });
          setTrouble(null);
        })
        .catch((error: unknown) => {
          if (gone) return;
          const found = troubleOf(error);
          if (found.kind === "denied") setAnswer(null);
          setTrouble(found);
        });
    };
    load();
    const timer = everyMs > 0 ? window.setInterval(load, everyMs) : 0;
    return () => {
      gone = true;
      window.clearInterval(timer);
    };
  }, [key, everyMs, turn]);
  const mine = answer?.key === key ? answer : null;
  return {
    data: mine?.data ?? null,
    atMs: mine?.atMs ?? null,
    trouble,
    again: () => setTurn((n) => n + 1),
  };
}

export function said(trouble: Trouble, thing: Thing): string {
  return trouble.kind === "absent" ? thing.absent : thing[trouble.kind](trouble);
}

interface PanelProps<T> {
  asked: Asked<T>;
  thing: Thing; // what it shows: `w.things.limits`
  empty?: (data: T) => string | null; // words for an answer with nothing in it
  children: (data: T) => ComponentChildren;
}

// The four states of every panel: loading, nothing there, trouble (with what was known before it, and when), and the answer.
export function Panel<T>({ asked, thing, empty, children }: PanelProps<T>) {
  const { data, trouble, atMs } = asked;
  const nothing = data === null ? null : (empty?.(data) ?? null);
  return (
    <>
      {trouble !== null && (
        <p
          class={trouble.kind === "away" || trouble.kind === "failed" ? "error" : "quiet"}
          role={trouble.kind === "away" || trouble.kind === "failed" ? "alert" : "status"}
          data-testid="panel-trouble"
          data-trouble={trouble.kind}
        >
          {said(trouble, thing)}
          {data !== null && atMs !== null && ` ${w.panels.shownIsOf({ time: clock(atMs) })}`}
        </p>
      )}
      {data === null && trouble === null && (
        <p class="quiet" data-testid="panel-loading">
          {thing.loading}
        </p>
      )}
      {data !== null &&
        (nothing === null ? (
          children(data)
        ) : (
          <p class="quiet" data-testid="panel-empty">
            {nothing}
          </p>
        ))}
    </>
  );
}
