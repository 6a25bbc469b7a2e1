// The log-in, and what is shown to somebody who is in, and whose patients are nobody at the moment.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ApiError } from "../api";
import { w } from "../words";
import { Account } from "./Account";
import { here, logIn, refused, wasOver } from "./session";

export function LogIn({ onEnter }: { onEnter: () => void }) {
  const name = useSignal("");
  const password = useSignal("");
  const wall = useSignal(false);
  const busy = useSignal(false);
  const error = useSignal<string | null>(null);
  const first = useRef<HTMLInputElement>(null);
  const firstRun = here.value?.first_run === true;
  useEffect(() => {
    if (!firstRun) first.current?.focus();
  }, [firstRun]);

  async function enter(event: Event): Promise<void> {
    event.preventDefault();
    if (busy.value) return;
    busy.value = true;
    error.value = null;
    try {
      await logIn(name.value, password.value, wall.value);
      onEnter();
    } catch (failed: unknown) {
      error.value = failed instanceof ApiError ? failed.message : w.door.failed;
      password.value = "";
      busy.value = false;
    }
  }

  return (
    <main class="door">
      <form class="door-form" onSubmit={enter} data-testid="log-in">
        <h1>
          <img src="/favicon.svg" alt="" width="28" height="28" /> {w.common.product}
        </h1>
        {firstRun ? (
          <p class="door-say" data-testid="first-run">
            {here.value?.say}
          </p>
        ) : (
          <>
            {wasOver.value && (
              <p class="door-say" role="status" data-testid="was-over">
                {w.door.loggedOff}
              </p>
            )}
            <label>
              {w.door.name}
              <input
                ref={first}
                name="name"
                autocomplete="username"
                autocapitalize="none"
                spellcheck={false}
                required
                maxLength={64}
                value={name.value}
                onInput={(event) => (name.value = event.currentTarget.value)}
              />
            </label>
            <label>
              {w.door.password}
              <input
                name="password"
                type="password"
                autocomplete="current-password"
                required
                maxLength={256}
                value={password.value}
                onInput={(event) => (password.value = event.currentTarget.value)}
              />
            </label>
            <label class="door-check">
              <input
                type="checkbox"
                checked={wall.value}
                onChange={(event) => (wall.value = event.currentTarget.checked)}
              />
              {w.door.wallDisplay}
            </label>
            <p class="door-error" role="alert" data-testid="log-in-error">
              {error.value}
            </p>
            <button type="submit" class="main" disabled={busy.value}>
              {busy.value ? w.door.loggingIn : w.door.logIn}
            </button>
          </>
        )}
        <p class="door-note">{w.common.notCertified}</p>
      </form>
    </main>
  );
}

export function NoPermission() {
  return (
    <main class="door" data-testid="no-permission">
      <div class="door-form">
        <h1>{w.door.noPatients}</h1>
        <p class="door-say">{refused.value}</p>
        <Account />
      </div>
    </main>
  );
}
