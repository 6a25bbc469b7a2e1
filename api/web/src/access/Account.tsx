// Who is logged in on this screen; their sessions, each of which can be ended; log-off.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ApiError } from "../api";
import { stamp } from "../times";
import { account, endSession, getSessions, here, logOff, type Session } from "./session";

const open = signal(false);
const sessions = signal<Session[] | null>(null);
const error = signal<string | null>(null);

const KINDS = { page: "screen", wall: "wall display", program: "program" };

function load(): void {
  error.value = null;
  getSessions()
    .then((found) => {
      sessions.value = found;
    })
    .catch(said);
}

function said(failed: unknown): void {
  error.value = failed instanceof ApiError ? failed.message : "That did not work. Try again.";
}

export function Account() {
  const dialog = useRef<HTMLDialogElement>(null);
  const shown = open.value;
  useEffect(() => {
    const element = dialog.current;
    if (shown && element !== null && !element.open) element.showModal();
    if (!shown && element?.open) element.close();
  }, [shown]);
  const who = account.value;
  if (who === null) return null;
  return (
    <>
      <button
        type="button"
        class="small account"
        data-testid="account"
        aria-haspopup="dialog"
        onClick={() => {
          open.value = true;
          sessions.value = null;
          load();
        }}
      >
        {who.full_name ?? who.name}
        {who.read_only ? " (shows only)" : ""}
      </button>
      <dialog
        ref={dialog}
        class="ask"
        aria-labelledby="account-title"
        data-testid="account-dialog"
        onClose={() => (open.value = false)}
      >
        <h2 id="account-title">{who.full_name ?? who.name}</h2>
        <p>
          Logged in as {who.name}, {who.role}
          {who.teams.length > 0 ? `, care team ${who.teams.join(", ")}` : ", in no care team at the moment"}.
        </p>
        <h3>Sessions</h3>
        {sessions.value === null && error.value === null && <p>Loading…</p>}
        {sessions.value?.length === 0 && <p>None.</p>}
        <ul class="sessions">
          {sessions.value?.map((one) => (
            <li key={one.id} data-testid="session">
              <span>
                {one.name === who.name ? "" : `${one.name}: `}
                {KINDS[one.kind]}
                {one.address === null ? "" : ` at ${one.address}`}, since {stamp(Date.parse(one.created))}
              </span>
              {one.this ? (
                <em>this one</em>
              ) : (
                <button
                  type="button"
                  class="small"
                  aria-label={`End the session of ${one.name} since ${stamp(Date.parse(one.created))}`}
                  onClick={() => endSession(one.id).then(load, said)}
                >
                  End
                </button>
              )}
            </li>
          ))}
        </ul>
        <p class="door-error" role="alert">
          {error.value}
        </p>
        <div class="row">
          <button type="button" class="main" data-testid="log-off" onClick={() => logOff().catch(said)}>
            Log off
          </button>
          <button type="button" onClick={() => (open.value = false)}>
            Close
          </button>
        </div>
      </dialog>
    </>
  );
}

// What the server says about who gets in, where nobody has to log in.
export function WhoGetsIn() {
  const words = here.value?.access === "open" ? here.value.say : null;
  return words === null ? null : (
    <span class="who-gets-in" data-testid="who-gets-in">
      {words}
    </span>
  );
}
