// What the alarms asked of people: how many, which rules make them, how many were right, and which rules deserve another look.

import { useState } from "preact/hooks";
import { getBurden } from "../api";
import { Panel, useAsked } from "../panel";
import { Scrolls } from "../Scrolls";
import { nowMs } from "../store";
import type { Burden, BurdenShare } from "../types";

const SPANS: readonly [number, string][] = [
  [24, "24 h"],
  [168, "7 d"],
];
const REFRESH_MS = 60_000;
const TOP = 8;

export function BurdenPanel() {
  const [hours, setHours] = useState(24);
  const asked = useAsked(`burden ${hours}`, () => getBurden(hours, nowMs.peek()), REFRESH_MS);
  return (
    <section class="panel" aria-labelledby="burden-title" data-testid="burden">
      <div class="row">
        <h2 id="burden-title">Alarm burden</h2>
        <fieldset class="switch" aria-label="Of how long">
          {SPANS.map(([n, text]) => (
            <button key={n} type="button" aria-pressed={hours === n} onClick={() => setHours(n)}>
              {text}
            </button>
          ))}
        </fieldset>
      </div>
      <Panel
        asked={asked}
        what="the alarm burden"
        empty={(found) => (found.alarms === 0 ? "No alarm has called anybody in this time." : null)}
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
        <Fact name="Alarms" value={String(found.alarms)} />
        <Fact name="A patient-day" value={found.alarms_per_patient_day?.toFixed(1) ?? "–"} />
        <Fact name="Median to acknowledge" value={lasting(found.median_seconds_to_acknowledge)} />
        <Fact
          name="Was right"
          value={found.actionable_share === null ? "nobody labelled any" : percent(found.actionable_share)}
          note={found.labelled > 0 ? `of ${found.labelled} labelled` : undefined}
        />
      </dl>
      {found.due_for_review.length > 0 && (
        <ul class="review" aria-label="Rules that deserve another look">
          {found.due_for_review.map((r) => (
            <li key={r.rule}>
              <strong>{r.rule}</strong>: {r.reason}
            </li>
          ))}
        </ul>
      )}
      <div class="side-by-side">
        <Shares name="Rule" shares={found.rules} />
        <Shares name="Unit" shares={found.units} />
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

function Shares({ name, shares }: { name: string; shares: readonly BurdenShare[] }) {
  if (shares.length === 0) return null;
  return (
    <Scrolls label={`Alarm burden by ${name.toLowerCase()}`}>
      <table class="figures">
        <thead>
          <tr>
            <th scope="col">{name}</th>
            <th scope="col">Alarms</th>
            <th scope="col">High</th>
            <th scope="col">Share</th>
            <th scope="col">Was right</th>
            <th scope="col">Seen after</th>
          </tr>
        </thead>
        <tbody>
          {shares.slice(0, TOP).map((s) => (
            <tr key={s.key ?? ""}>
              <th scope="row">{(s.key ?? "none").replaceAll("_", " ")}</th>
              <td>{s.alarms}</td>
              <td>{s.high}</td>
              <td>{percent(s.share)}</td>
              <td>{s.precision === null ? "–" : `${percent(s.precision)} of ${s.labelled}`}</td>
              <td>{lasting(s.median_seconds_to_acknowledge)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolls>
  );
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function lasting(seconds: number | null): string {
  if (seconds === null) return "–";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
