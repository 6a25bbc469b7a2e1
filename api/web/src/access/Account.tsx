// Who is logged in on this screen; their sessions, each of which can be ended; log-off.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ApiError } from "../api";
import { stamp } from "../times";
import { named, w } from "../words";
import { account, endSession, getSessions, here, logOff, type Session } from "./session";

const open = signal(false);
const sessions = signal<Session[] | null>(null);
const error = signal<string | null>(null);

function load(): void {
  error.value = null;
  getSessions()
    .then((found) => {
      sessions.value = found;
    })
    .catch(said);
}

function said(failed: unknown): void {
  error.value = failed instanceof ApiError ? failed.message : w.account.failed;
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
        {who.read_only
          ? w.account.showsOnly({ name: who.full_name ?? who.name })
          : (who.full_name ?? who.name)}
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
          {w.account.loggedIn({ name: who.name, role: named(w.common.roles, who.role), teams: who.teams })}
        </p>
        <h3>{w.account.sessions}</h3>
        {sessions.value === null && error.value === null && <p>{w.common.loading}</p>}
        {sessions.value?.length === 0 && <p>{w.common.none}</p>}
        <ul class="sessions">
          {sessions.value?.map((one) => (
            <li key={one.id} data-testid="session">
              <span>
                {w.account.session({
                  name: one.name === who.name ? null : one.name,
                  kind: w.account.kinds[one.kind],
                  address: one.address,
                  since: stamp(Date.parse(one.created)),
                })}
              </span>
              {one.this ? (
                <em>{w.account.thisOne}</em>
              ) : (
                <button
                  type="button"
                  class="small"
                  aria-label={w.account.endSession({ name: one.name, since: stamp(Date.parse(one.created)) })}
                  onClick={() => endSession(one.id).then(load, said)}
                >
                  {w.common.end}
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
            {w.account.logOff}
          </button>
          <button type="button" onClick={() => (open.value = false)}>
            {w.common.close}
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
