// Can what is on the screen be believed? Always visible.

import { computed, signal } from "@preact/signals";
import { Account, WhoGetsIn } from "./access/Account";
import { account, seesPatients } from "./access/session";
import { helpOpen } from "./Help";
import { actor } from "./kept";
import { page, pages } from "./pages";
import { age } from "./stale";
import {
  arrange,
  beds,
  canary,
  dataAsOfMs,
  demo,
  feed,
  heldBack,
  kafka,
  me,
  notice,
  nowMs,
  serverOffsetMs,
} from "./store";
import { switchTheme } from "./theme";
import { clock, utc } from "./times";
import { kiosk, leaveKiosk } from "./wall/view";
import { WallTools } from "./wall/Wall";

const DATA_OLD_S = 15;
const CLOCK_OFF_S = 5;

export const trouble = computed<string | null>(() => {
  const link = feed.value;
  if (link === "lost") return "Connection lost. The values below are not live. Trying again…";
  if (link === "stale") return "The feed has gone silent. The values below are not live. Trying again…";
  if (link === "connecting")
    return beds.value.size > 0 ? "The feed begins anew. The values below are not live yet." : null;
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
  feed.value === "live" && canary.value === "unknown"
    ? "Nothing watches over the data stream any more: if it stops, this screen may not say so."
    : null,
);

const toolsOpen = signal(false); // on a phone, where they would take half the screen

export function Header() {
  const offset = Math.round(serverOffsetMs.value / 1000);
  return (
    <header class="top">
      <h1 class="brand">
        <img src="/favicon.svg" alt="" width="22" height="22" /> Vigil
      </h1>
      {demo.value && (
        <strong class="demo" data-testid="demo-mark">
          DEMO
        </strong>
      )}
      {!kiosk.value && (
        <div class={`tools-of-page ${toolsOpen.value ? "open" : ""}`}>
          <Pages />
          {page.value === "ward" && <WallTools />}
          {account.value === null ? <Me /> : <Account />}
          <button type="button" class="small theme-too" onClick={switchTheme}>
            Dark or light
          </button>
        </div>
      )}
      <span class="space" />
      {seesPatients.value && (
        <>
          <LinkState testId="link" />
          <AsOf testId="as-of" />
        </>
      )}
      {Math.abs(offset) >= CLOCK_OFF_S && (
        <span class="clock-off" data-testid="clock-off">
          this device's clock is {age(Math.abs(offset))} {offset > 0 ? "behind" : "ahead"}
        </span>
      )}
      {!kiosk.value && (
        <button
          type="button"
          class="small tools-switch"
          aria-expanded={toolsOpen.value}
          onClick={() => (toolsOpen.value = !toolsOpen.value)}
          data-testid="tools"
        >
          Tools
        </button>
      )}
      {kiosk.value ? (
        <button type="button" class="small" onClick={leaveKiosk} data-testid="leave-kiosk">
          Leave kiosk
        </button>
      ) : (
        <button type="button" class="plain" onClick={switchTheme} aria-label="Switch between dark and light">
          ◐
        </button>
      )}
    </header>
  );
}

// Whether what is shown is live: in the header, and again in what covers it.
export function LinkState({ testId }: { testId?: string }) {
  const link = feed.value;
  return (
    <span
      class={`link ${trouble.value === null ? link : "lost"}`}
      {...(testId === undefined ? {} : { "data-testid": testId })}
      data-link={link}
    >
      {link === "live" && trouble.value === null ? "Live" : link === "connecting" ? "Connecting" : "Not live"}
    </span>
  );
}

export function AsOf({ testId }: { testId?: string }) {
  const asOf = dataAsOfMs.value;
  return (
    <span
      class="as-of"
      {...(testId === undefined ? {} : { "data-testid": testId })}
      title={asOf === null ? "" : utc(asOf)}
    >
      <span class="as-of-words">data as of </span>
      {asOf === null ? "–" : clock(asOf)}
    </span>
  );
}

// A name as a header can carry it: accents are dropped, "Zoë" is "Zoe".
export function plain(name: string): string {
  return name
    .normalize("NFD")
    .replaceAll(/[^\x20-\x7e]/g, "")
    .trim();
}

function Pages() {
  return (
    <nav class="pages" aria-label="Pages">
      {pages.value.map(([name, text]) => (
        <a
          key={name}
          href={`#${name}`}
          {...(page.value === name ? { "aria-current": "page" } : {})}
          data-testid={`page-${name}`}
        >
          {text}
        </a>
      ))}
    </nav>
  );
}

// Who acts on this screen where nobody has to log in: the name is taken on trust, and stands beside everything that is done.
function Me() {
  return (
    <label class="me">
      You
      <input
        maxLength={64}
        size={12}
        value={actor.value}
        placeholder={me.value}
        aria-label="Your name, written beside what you do"
        data-testid="me"
        onChange={(event) => {
          actor.value = plain(event.currentTarget.value);
          event.currentTarget.value = actor.value;
        }}
      />
    </label>
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
      {heldBack.value && (
        <button
          type="button"
          class="small held"
          onClick={() => arrange(performance.now(), true)}
          data-testid="held"
        >
          Order held while you point: sort now
        </button>
      )}
      <span>
        {notice.value || "Not a certified alarm system. Secondary display: confirm at the bedside."}
      </span>
      <WhoGetsIn />
      <span class="space" />
      {!kiosk.value && (
        <>
          <span class="hints" hidden={!seesPatients.value}>
            <kbd>j</kbd>
            <kbd>k</kbd> move <kbd>a</kbd> acknowledge <kbd>s</kbd> snooze <kbd>/</kbd> find
          </span>
          <button type="button" class="small" onClick={() => (helpOpen.value = true)} data-testid="help-open">
            <kbd>?</kbd> help
          </button>
        </>
      )}
    </footer>
  );
}
