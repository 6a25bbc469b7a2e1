// The alarm limits of one patient: everybody's, own ones in their place, and how often each would have alarmed in the last day.

import { useEffect, useRef, useState } from "preact/hooks";
import { may } from "../access/session";
import { ApiError, changeLimits, getLimits, tryLimits } from "../api";
import { fixed, plain } from "../numbers";
import { Panel, useAsked } from "../panel";
import { type Bed, me } from "../store";
import { moment, utc } from "../times";
import type { LimitRow, LimitsOfPatient, Preview, WouldAlarm } from "../types";
import { unitText } from "../wall/units";
import { w } from "../words";
import { type Draft, inForce, read, start, type Typed, typed } from "./limits";
import { own } from "./own";

const SETTLES_MS = 500;

export function Limits({ bed, onClose }: { bed: Bed; onClose: () => void }) {
  const asked = useAsked(`limits ${bed.id}`, () => getLimits(bed.id), 0);
  return (
    <section class="limits" aria-label={w.limits.region} data-testid="limits">
      <div class="row tools">
        <strong>{w.limits.title}</strong>
        <span class="space" />
        <button type="button" onClick={onClose}>
          {w.common.back}
        </button>
      </div>
      <Panel
        asked={asked}
        thing={w.things.limits}
        empty={(found) => (found.items.length === 0 ? w.limits.noLimits : null)}
      >
        {(found) => <Editor key={found.version} found={found} again={asked.again} />}
      </Panel>
    </section>
  );
}

function Editor({ found, again }: { found: LimitsOfPatient; again: () => void }) {
  const [held, setHeld] = useState(found);
  const [draft, setDraft] = useState<Draft>(() => start(found.items));
  const [reason, setReason] = useState("");
  const [trial, setTrial] = useState<{ of: string; preview: Preview } | null>(null);
  const [trying, setTrying] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const [refused, setRefused] = useState<Record<string, string>>({});
  const [outcome, setOutcome] = useState<string | null>(null);
  const [working, setWorking] = useState(false);
  const meant = read(held.items, draft);
  const wrong = { ...refused, ...meant.wrong };
  const valid = Object.keys(meant.wrong).length === 0;
  const asked = JSON.stringify(meant.own);
  const newest = useRef(asked);
  newest.current = asked;

  useEffect(() => {
    if (!valid) return;
    let gone = false;
    const timer = window.setTimeout(() => {
      setTrying(true);
      tryLimits(held.patient, meant.own)
        .then((preview) => {
          if (gone) return;
          setTrial({ of: asked, preview });
          setFailure(null);
          setRefused({});
        })
        .catch((error: unknown) => !gone && say(error))
        .finally(() => newest.current === asked && setTrying(false));
    }, SETTLES_MS);
    return () => {
      gone = true;
      window.clearTimeout(timer);
    };
  }, [asked, valid, held.version]);

  const say = (error: unknown) => {
    const found = error instanceof ApiError ? error : null;
    setRefused(
      Object.fromEntries((found?.errors ?? []).map((e) => [e.field.split(".")[1] ?? e.field, e.reason])),
    );
    setFailure(found?.message ?? w.limits.noAnswer);
  };
  const change = (row: LimitRow, part: Partial<Typed>) => {
    setDraft({ ...draft, [row.rule]: { ...(draft[row.rule] ?? typed(row, inForce(row))), ...part } });
    setRefused({});
    setOutcome(null);
  };
  const put = async () => {
    setWorking(true);
    setFailure(null);
    try {
      const next = await changeLimits(held.patient, meant.own, reason.trim(), held.version);
      setHeld(next);
      setDraft(start(next.items));
      setReason("");
      own.take(next);
      setOutcome(w.limits.wasPut({ version: next.version }));
    } catch (error) {
      say(error);
      if (error instanceof ApiError && error.status === 412) again();
    } finally {
      setWorking(false);
    }
  };
  const preview = trial?.preview ?? null;
  const current = trial?.of === asked && !trying;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (valid && meant.changed.length > 0 && reason.trim() !== "") void put();
      }}
    >
      <p class="fine" data-testid="limits-version">
        {w.limits.ownOrNot({
          inForce:
            held.version === 0
              ? w.limits.shipped
              : w.limits.inForce({
                  version: held.version,
                  reason: held.reason ?? "",
                  author: held.author ?? "–",
                }),
          since:
            held.at === null ? null : (
              <time dateTime={held.at} title={utc(Date.parse(held.at))}>
                {moment(Date.parse(held.at), Date.now())}
              </time>
            ),
        })}
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
      <section class="table-box" tabIndex={0} aria-label={w.limits.table}>
        <table class="values limits-table">
          <thead>
            <tr>
              <th scope="col">{w.limits.alarm}</th>
              <th scope="col">{w.limits.everybodys}</th>
              <th scope="col">{w.limits.thisPatient}</th>
              <th scope="col">{w.limits.urgentBeyond}</th>
              <th scope="col" class="count" title={w.limits.countedNowHint}>
                {w.limits.countedNow}
              </th>
              <th scope="col" class="count" title={w.limits.draftHint}>
                {w.limits.draft}
              </th>
            </tr>
          </thead>
          <tbody>
            {held.items.map((row) => (
              <Row
                key={row.rule}
                row={row}
                typed={draft[row.rule] ?? typed(row, inForce(row))}
                changed={meant.changed.includes(row.rule)}
                own={meant.own[row.rule] !== undefined}
                wrong={wrong[row.rule] ?? null}
                preview={preview}
                current={current}
                onChange={(part) => change(row, part)}
              />
            ))}
          </tbody>
        </table>
      </section>
      <p
        class={current ? "trial" : "trial behind"}
        data-testid="trial"
        data-current={current}
        aria-live="polite"
      >
        {preview === null ? (
          valid ? (
            w.limits.counting
          ) : (
            w.limits.notCounted
          )
        ) : (
          <>
            {w.limits.trial({
              hours: fixed(preview.hours, 1),
              now: <strong data-testid="count-now">{times(preview.in_force)}</strong>,
              draft: <strong data-testid="count-draft">{times(preview.draft)}</strong>,
            })}
            {!current && ` ${w.limits.anew}`}
          </>
        )}
      </p>
      {failure !== null && (
        <p class="error" role="alert">
          {failure}
        </p>
      )}
      <div class="row">
        <label class="field grow">
          {w.limits.why}
          <input
            name="reason"
            maxLength={2000}
            value={reason}
            placeholder={w.limits.whyHint}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
        </label>
        <button
          type="submit"
          class="main"
          hidden={!may("limits.change")}
          disabled={working || !valid || meant.changed.length === 0 || reason.trim() === ""}
          data-testid="limits-put"
        >
          {w.limits.put({ me: me.value })}
        </button>
        <button
          type="button"
          disabled={working}
          onClick={() => {
            setDraft(start(held.items));
            setRefused({});
            setFailure(null);
          }}
        >
          {w.limits.discard}
        </button>
      </div>
      <p class="fine" role="status" data-testid="limits-outcome">
        {outcome ?? why(meant.changed.length, valid, reason)}
      </p>
    </form>
  );
}

function why(changed: number, valid: boolean, reason: string): string {
  if (!valid) return w.limits.notValid;
  if (changed === 0) return w.limits.unchanged;
  if (reason.trim() === "") return w.limits.sayWhy({ n: changed });
  return w.limits.changed({ n: changed });
}

function times(would: WouldAlarm): string {
  return w.limits.times({ alarms: would.alarms, high: would.by_priority.high });
}

interface RowProps {
  row: LimitRow;
  typed: Typed;
  changed: boolean;
  own: boolean;
  wrong: string | null;
  preview: Preview | null;
  current: boolean;
  onChange: (part: Partial<Typed>) => void;
}

function Row({ row, typed: said, changed, own: hasOwn, wrong, preview, current, onChange }: RowProps) {
  const name = w.limits.rule[row.direction]({ metric: row.label });
  const count = (would: WouldAlarm | undefined): string =>
    would === undefined ? "–" : String(would.by_rule[row.rule] ?? 0);
  const hint = `wrong-${row.rule}`;
  const described = wrong === null ? {} : { "aria-describedby": hint };
  return (
    <tr data-rule={row.rule} data-changed={changed} class={hasOwn ? "own" : ""}>
      <th scope="row">
        {name} <span class="unit">{unitText(row.unit)}</span>{" "}
        {hasOwn && wrong === null && (
          <button type="button" class="small" onClick={() => onChange(typed(row, row.everybody))}>
            {w.limits.everybodys}
          </button>
        )}
        {wrong !== null && (
          <span id={hint} class="wrong-words" role="alert">
            {wrong}
          </span>
        )}
      </th>
      <td>
        {plain(row.everybody.limit)}
        {row.everybody.critical !== null && (
          <small>{` ${w.limits.urgent({ limit: plain(row.everybody.critical) })}`}</small>
        )}
      </td>
      <td>
        <input
          inputMode="decimal"
          autoComplete="off"
          size={5}
          maxLength={8}
          name={row.rule}
          aria-label={w.limits.field({ rule: name })}
          aria-invalid={wrong !== null}
          {...described}
          value={said.limit}
          onInput={(event) => onChange({ limit: event.currentTarget.value })}
        />
      </td>
      <td>
        <input
          inputMode="decimal"
          autoComplete="off"
          size={5}
          maxLength={8}
          name={`${row.rule}-urgent`}
          aria-label={w.limits.urgentField({ rule: name })}
          aria-invalid={wrong !== null}
          {...described}
          value={said.critical}
          placeholder={w.limits.none}
          onInput={(event) => onChange({ critical: event.currentTarget.value })}
        />
      </td>
      <td class="count">{count(preview?.in_force)}</td>
      <td class={current ? "count" : "count behind"}>{count(preview?.draft)}</td>
    </tr>
  );
}
