// What the alarms asked of people: how many, which rules make them, how many were right, and which rules deserve another look.

import { useState } from "preact/hooks";
import { getBurden } from "../api";
import { fixed, percent } from "../numbers";
import { Panel, useAsked } from "../panel";
import { Scrolls } from "../Scrolls";
import { nowMs } from "../store";
import type { Burden, BurdenShare } from "../types";
import { w } from "../words";

const SPANS: readonly [number, string][] = [
  [24, w.time.hours({ n: 24 })],
  [168, w.time.days({ n: 7 })],
];
const REFRESH_MS = 60_000;
const TOP = 8;

export function BurdenPanel() {
  const [hours, setHours] = useState(24);
  const asked = useAsked(`burden ${hours}`, () => getBurden(hours, nowMs.peek()), REFRESH_MS);
  return (
    <section class="panel" aria-labelledby="burden-title" data-testid="burden">
      <div class="row">
        <h2 id="burden-title">{w.burden.title}</h2>
        <fieldset class="switch" aria-label={w.burden.ofHowLong}>
          {SPANS.map(([n, text]) => (
            <button key={n} type="button" aria-pressed={hours === n} onClick={() => setHours(n)}>
              {text}
            </button>
          ))}
        </fieldset>
      </div>
      <Panel
        asked={asked}
        thing={w.things.burden}
        empty={(found) => (found.alarms === 0 ? w.burden.none : null)}
      >
        {(found) => <Ledger found={found} />}
      </Panel>
    </section>
  );
}

function Ledger({ found }: { found: Burden }) {
  return (
    <>
      <dl class="facts">
        <Fact name={w.burden.alarms} value={String(found.alarms)} />
        <Fact
          name={w.burden.patientDay}
          value={found.alarms_per_patient_day === null ? "–" : fixed(found.alarms_per_patient_day, 1)}
        />
        <Fact name={w.burden.median} value={lasting(found.median_seconds_to_acknowledge)} />
        <Fact
          name={w.burden.right}
          value={found.actionable_share === null ? w.burden.noneLabelled : percent(found.actionable_share)}
          note={found.labelled > 0 ? w.burden.ofLabelled({ n: found.labelled }) : undefined}
        />
      </dl>
      {found.due_for_review.length > 0 && (
        <ul class="review" aria-label={w.burden.review}>
          {found.due_for_review.map((r) => (
            <li key={r.rule}>
              <strong>{r.rule}</strong>
              {`: ${r.reason}`}
            </li>
          ))}
        </ul>
      )}
      <div class="side-by-side">
        <Shares by="rule" shares={found.rules} />
        <Shares by="unit" shares={found.units} />
      </div>
    </>
  );
}

function Fact({ name, value, note }: { name: string; value: string; note?: string | undefined }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value} {note !== undefined && <small>{note}</small>}
      </dd>
    </div>
  );
}

function Shares({ by, shares }: { by: "rule" | "unit"; shares: readonly BurdenShare[] }) {
  if (shares.length === 0) return null;
  return (
    <Scrolls label={w.burden.by[by]}>
      <table class="figures">
        <thead>
          <tr>
            <th scope="col">{w.burden.columns[by]}</th>
            <th scope="col">{w.burden.columns.alarms}</th>
            <th scope="col">{w.burden.columns.high}</th>
            <th scope="col">{w.burden.columns.share}</th>
            <th scope="col">{w.burden.columns.right}</th>
            <th scope="col">{w.burden.columns.seen}</th>
          </tr>
        </thead>
        <tbody>
          {shares.slice(0, TOP).map((s) => (
            <tr key={s.key ?? ""}>
              <th scope="row">{(s.key ?? w.burden.noKey).replaceAll("_", " ")}</th>
              <td>{s.alarms}</td>
              <td>{s.high}</td>
              <td>{percent(s.share)}</td>
              <td>
                {s.precision === null
                  ? "–"
                  : w.burden.rightOf({ share: percent(s.precision), n: s.labelled })}
              </td>
              <td>{lasting(s.median_seconds_to_acknowledge)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolls>
  );
}

function lasting(seconds: number | null): string {
  if (seconds === null) return "–";
  if (seconds < 90) return w.time.seconds({ n: Math.round(seconds) });
  return seconds < 5400
    ? w.time.minutes({ n: Math.round(seconds / 60) })
    : w.time.hours({ n: fixed(seconds / 3600, 1) });
}
