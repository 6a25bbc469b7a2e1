// Who sits here: whether one has to log in, who is logged in, and what happens when the session is over.

import { computed, signal } from "@preact/signals";
import { ApiError, call, whenSessionEnds } from "../api";

export interface Person {
  name: string;
  full_name: string | null;
  role: string;
  teams: string[];
  read_only: boolean;
  may: string[];
}

export interface Session {
  id: string;
  name: string;
  kind: "page" | "wall" | "program";
  created: string;
  seen: string;
  ends: string;
  idle_seconds: number | null;
  address: string | null;
  this: boolean;
}

interface Here {
  access: "open" | "accounts";
  demo: boolean;
  first_run: boolean;
  say: string | null;
  person: Person | null;
  session: Session | null;
}

const OVER = "vigil.over";
const AGAIN_MS = 2_000;
const STILL_HERE_MS = 60_000;

export const here = signal<Here | null>(null);
// Why nothing is shown although somebody is logged in: the API's words.
export const refused = signal<string | null>(null);
export const wasOver = signal(false);

export const needsLogIn = computed(
  () => here.value !== null && here.value.access === "accounts" && here.value.person === null,
);
// The account, where people have accounts.
export const account = computed(() => (here.value?.access === "accounts" ? here.value.person : null));
export const seesPatients = computed(
  () => account.value === null || account.value.may.includes("live.follow"),
);

// Whether whoever sits here has an action of the policy; everybody does where nobody has to log in. What one may not do is not
// offered: a wall display shows no buttons that would be refused.
export const may = (action: string): boolean => account.value?.may.includes(action) ?? true;

// Ask who sits here, until the server answers; then `start` if somebody is in.
export function arrive(start: () => void): void {
  wasOver.value = takeOver();
  const ask = (): void => {
    call<Here>("/session")
      .then((found) => {
        here.value = found;
        if (!needsLogIn.value) start();
        else if (found.first_run) window.setTimeout(ask, AGAIN_MS); // until somebody has made an account
      })
      .catch(() => window.setTimeout(ask, AGAIN_MS));
  };
  ask();
  whenSessionEnds(over);
  for (const event of ["pointerdown", "keydown"]) document.addEventListener(event, stillHere);
}

export async function logIn(name: string, password: string, wall: boolean): Promise<void> {
  here.value = await call<Here>("/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name, password, kind: wall ? "wall" : "page" }),
  });
  wasOver.value = false;
}

export async function logOff(): Promise<void> {
  await call("/session", { method: "DELETE" });
  location.reload(); // nothing of a patient stays in the memory of this page
}

export async function getSessions(): Promise<Session[]> {
  return (await call<{ items: Session[] }>("/sessions")).items;
}

export function endSession(id: string): Promise<unknown> {
  return call(`/sessions/${encodeURIComponent(id)}`, { method: "DELETE" });
}

// The session is over, or was ended elsewhere: forget everything and show the log-in.
export function over(): void {
  if (here.peek()?.person == null) return;
  try {
    sessionStorage.setItem(OVER, "1");
  } catch {
    // only the sentence about it is lost
  }
  location.reload();
}

function takeOver(): boolean {
  try {
    const found = sessionStorage.getItem(OVER) !== null;
    sessionStorage.removeItem(OVER);
    return found;
  } catch {
    return false;
  }
}

// What to offer the live feed: its protocol, and a ticket where one has to be logged in. null: it would not let us in.
export async function offer(): Promise<string[] | null> {
  if (here.peek()?.access !== "accounts") return ["vigil.v1"];
  try {
    const { ticket } = await call<{ ticket: string }>("/live/ticket", { method: "POST" });
    refused.value = null;
    return ["vigil.v1", `vigil.ticket.${ticket}`];
  } catch (error: unknown) {
    if (error instanceof ApiError && error.status === 403) refused.value = error.message;
    return null;
  }
}

let told = 0;

// A click or a key says that somebody sits here; what the page asks for by itself does not.
function stillHere(): void {
  if (here.peek()?.session?.idle_seconds == null || performance.now() - told < STILL_HERE_MS) return;
  told = performance.now();
  call<Here>("/session", { method: "PUT" }).catch(() => undefined);
}
