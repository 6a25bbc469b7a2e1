// Can what is on the screen be believed? Always visible.

import { computed, signal } from "@preact/signals";
import { Account, WhoGetsIn } from "./access/Account";
import { account, seesPatients } from "./access/session";
import { helpOpen } from "./Help";
import { actor } from "./kept";
import type { KEYS } from "./keyboard";
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
import { w } from "./words";

const DATA_OLD_S = 15;
const CLOCK_OFF_S = 5;

export const trouble = computed<string | null>(() => {
  const link = feed.value;
  if (link === "lost") return w.trust.lost;
  if (link === "stale") return w.trust.silent;
  if (link === "connecting") return beds.value.size > 0 ? w.trust.anew : null;
  if (kafka.value === "away") return w.trust.kafkaAway;
  if (canary.value === "dead") return w.trust.canaryDead;
  const asOf = dataAsOfMs.value;
  if (asOf !== null && nowMs.value - asOf > DATA_OLD_S * 1000)
    return w.trust.noData({ age: age(Math.floor((nowMs.value - asOf) / 1000)) });
  return null;
});

// What is shown is live, but nobody would say so if it were not.
export const caution = computed<string | null>(() =>
  feed.value === "live" && canary.value === "unknown" ? w.trust.unwatched : null,
);

const toolsOpen = signal(false); // on a phone, where they would take half the screen

export function Header() {
  const offset = Math.round(serverOffsetMs.value / 1000);
  return (
    <header class="top">
      <h1 class="brand">
        <img src="/favicon.svg" alt="" width="22" height="22" /> {w.common.product}
      </h1>
      {demo.value && (
        <strong class="demo" data-testid="demo-mark">
          {w.header.demo}
        </strong>
      )}
      {!kiosk.value && (
        <div class={`tools-of-page ${toolsOpen.value ? "open" : ""}`}>
          <Pages />
          {page.value === "ward" && <WallTools />}
          {account.value === null ? <Me /> : <Account />}
          <button type="button" class="small theme-too" onClick={switchTheme}>
            {w.header.darkOrLight}
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
          {(offset > 0 ? w.header.clockBehind : w.header.clockAhead)({ age: age(Math.abs(offset)) })}
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
          {w.header.tools}
        </button>
      )}
      {kiosk.value ? (
        <button type="button" class="small" onClick={leaveKiosk} data-testid="leave-kiosk">
          {w.header.leaveKiosk}
        </button>
      ) : (
        <button type="button" class="plain" onClick={switchTheme} aria-label={w.header.switchTheme}>
          {"◐"}
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
      {link === "live" && trouble.value === null
        ? w.trust.links.live
        : link === "connecting"
          ? w.trust.links.connecting
          : w.trust.links.not}
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
      <span class="as-of-words">{`${w.trust.asOf.before} `}</span>
      {asOf === null ? "–" : clock(asOf)}
      {w.trust.asOf.after !== "" && <span class="as-of-words">{` ${w.trust.asOf.after}`}</span>}
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
    <nav class="pages" aria-label={w.pages.title}>
      {pages.value.map((name) => (
        <a
          key={name}
          href={`#${name}`}
          {...(page.value === name ? { "aria-current": "page" } : {})}
          data-testid={`page-${name}`}
        >
          {w.pages[name]}
        </a>
      ))}
    </nav>
  );
}

// Who acts on this screen where nobody has to log in: the name is taken on trust, and stands beside everything that is done.
function Me() {
  return (
    <label class="me">
      {w.header.you}
      <input
        maxLength={64}
        size={12}
        value={actor.value}
        placeholder={me.value}
        aria-label={w.header.yourName}
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

function Key({ name }: { name: (typeof KEYS)[number] }) {
  return <kbd>{name}</kbd>;
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
          {w.header.held}
        </button>
      )}
      <span>{notice.value || w.common.notCertified}</span>
      <WhoGetsIn />
      <span class="space" />
      {!kiosk.value && (
        <>
          <span class="hints" hidden={!seesPatients.value}>
            <Key name="j" />
            <Key name="k" /> {w.header.hints.move} <Key name="a" /> {w.header.hints.acknowledge}{" "}
            <Key name="s" /> {w.header.hints.snooze} <Key name="/" /> {w.header.hints.find}
          </span>
          <button type="button" class="small" onClick={() => (helpOpen.value = true)} data-testid="help-open">
            <Key name="?" /> {w.header.hints.help}
          </button>
        </>
      )}
    </footer>
  );
}
