// The page for those who run it: lag, throughput, latency, the canary and the workers. It knows no patient.

import type { ComponentChildren } from "preact";
import { account, seesPatients } from "./access/session";
import { getProcesses, getSystem } from "./api";
import { ModelList } from "./ModelList";
import { fixed, grouped } from "./numbers";
import { Panel, useAsked } from "./panel";
import { age } from "./stale";
import { unacknowledged } from "./store";
import { clock, utc } from "./times";
import type { ProcessRow, SystemInfo } from "./types";
import { named, w } from "./words";

const REFRESH_MS = 5_000;

export function SystemPage() {
  const system = useAsked("system", getSystem, REFRESH_MS);
  const processes = useAsked("processes", getProcesses, REFRESH_MS);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <main class="desk" aria-label={w.system.title} data-testid="system" tabIndex={0}>
      {!seesPatients.value && (
        <p class="quiet" data-testid="no-patients">
          {w.door.seesNone({
            name: account.value?.name ?? "",
            role: named(w.common.roles, account.value?.role ?? ""),
          })}
        </p>
      )}
      {unacknowledged.value > 0 && (
        <p class="quiet">
          {w.door.waiting({ alarms: unacknowledged.value, back: <a href="#ward">{w.door.backToWard}</a> })}
        </p>
      )}
      <section class="panel" aria-labelledby="stream-title" data-testid="stream">
        <h2 id="stream-title">{w.system.stream}</h2>
        <Panel asked={system} thing={w.things.stream}>
          {(found) => <Stream found={found} rows={processes.data ?? []} />}
        </Panel>
      </section>
      <ModelList />
      <section class="panel" aria-labelledby="processes-title" data-testid="processes">
        <h2 id="processes-title">
          {w.system.processes} {processes.data !== null && <small>{summary(processes.data)}</small>}
        </h2>
        <Panel
          asked={processes}
          thing={w.things.processes}
          empty={(found) => (found.length === 0 ? w.system.noProcesses : null)}
        >
          {(found) => <Table rows={found} />}
        </Panel>
        <p class="fine">{w.system.legend}</p>
      </section>
    </main>
  );
}

function Stream({ found, rows }: { found: SystemInfo; rows: readonly ProcessRow[] }) {
  const asOf = found.data_as_of === null ? null : Date.parse(found.data_as_of);
  const stages = rows.find((r) => r.room === "canary")?.stages ?? {};
  const sums = summed(rows);
  const nowMs = Date.parse(found.server_time);
  const oldS = asOf === null ? null : Math.max(0, Math.round((nowMs - asOf) / 1000));
  return (
    <dl class="facts cards-of-facts">
      <Fact name={w.system.facts.kafka} tone={found.kafka === "ok" ? "well" : "ill"}>
        {named(w.system.kafka, found.kafka)}
      </Fact>
      <Fact name={w.system.facts.tick} tone={oldS === null ? "unknown" : oldS <= TICK_OLD_S ? "well" : "ill"}>
        {oldS === null || asOf === null ? (
          w.system.noneYet
        ) : (
          <time dateTime={found.data_as_of ?? ""} title={utc(asOf)}>
            {w.time.ago({ age: age(oldS) })} <small>{clock(asOf)}</small>
          </time>
        )}
      </Fact>
      <Fact name={w.system.facts.canary} tone={tone(found.canary)} testId="canary">
        {found.canary === null ? w.system.noCanary : named(w.system.canary, found.canary)}
      </Fact>
      <Fact name={w.system.facts.lag}>{number(sums.lag)}</Fact>
      <Fact name={w.system.facts.rate}>{number(sums.rate)}</Fact>
      <Fact name={w.system.facts.slowest}>
        {sums.slowest === null ? (
          "–"
        ) : (
          <>
            {w.time.milliseconds({ n: number(sums.slowest.ms) })} <small>{sums.slowest.name}</small>
          </>
        )}
      </Fact>
      <Fact name={w.system.facts.viewers}>{number(sums.viewers)}</Fact>
      <Fact name={w.system.facts.version}>{found.version}</Fact>
      {Object.keys(stages).length > 0 && (
        <div class="wide">
          <dt>{w.system.facts.stages}</dt>
          <dd class="stages">
            {Object.entries(stages).map(([stage, s]) => (
              <span key={stage}>
                {stage} <strong>{w.time.seconds({ n: fixed(s, 1) })}</strong>
              </span>
            ))}
          </dd>
        </div>
      )}
    </dl>
  );
}

type Tone = "well" | "ill" | "unknown";
const TICK_OLD_S = 5;

function tone(canary: SystemInfo["canary"]): Tone {
  if (canary === "ok") return "well";
  return canary === "dead" || canary === "late" ? "ill" : "unknown";
}

interface FactProps {
  name: string;
  tone?: Tone;
  testId?: string;
  children: ComponentChildren;
}

function Fact({ name, tone, testId, children }: FactProps) {
  return (
    <div class={tone ?? ""}>
      <dt>{name}</dt>
      <dd {...(testId === undefined ? {} : { "data-testid": testId })}>{children}</dd>
    </div>
  );
}

export interface Sums {
  lag: number | null;
  rate: number | null;
  viewers: number | null;
  slowest: { name: string; ms: number } | null;
}

// What all processes together say; null: none of them says it.
export function summed(rows: readonly ProcessRow[]): Sums {
  const sum = (of: (row: ProcessRow) => number | null): number | null => {
    const said = rows.map(of).filter((n) => n !== null);
    return said.length === 0 ? null : said.reduce((a, b) => a + b, 0);
  };
  let slowest: Sums["slowest"] = null;
  for (const row of rows)
    if (row.room !== "api" && row.batch_p95_ms !== null && row.batch_p95_ms > (slowest?.ms ?? -1))
      slowest = { name: row.name, ms: row.batch_p95_ms };
  return {
    lag: sum((r) => r.lag_records),
    rate: sum((r) => r.records_per_second),
    viewers: sum((r) => r.viewers),
    slowest,
  };
}

function summary(rows: readonly ProcessRow[]): string {
  const away = rows.filter((r) => r.ready !== true).length;
  return w.system.summary({ all: rows.length, away });
}

function Table({ rows }: { rows: readonly ProcessRow[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="table-box" tabIndex={0} aria-label={w.system.processes}>
      <table class="figures">
        <thead>
          <tr>
            <th scope="col">{w.system.columns.process}</th>
            <th scope="col">{w.system.columns.state}</th>
            <th scope="col">{w.system.columns.partitions}</th>
            <th scope="col">{w.system.columns.lag}</th>
            <th scope="col">{w.system.columns.rate}</th>
            <th scope="col">{w.system.columns.p95}</th>
            <th scope="col">{w.system.columns.behind}</th>
            <th scope="col">{w.system.columns.still}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((r) => (
            <tr key={r.name} data-testid="process" data-process={r.name} data-ready={r.ready}>
              <th scope="row">{r.name}</th>
              <td>
                {r.answers ? (
                  r.ready === true ? (
                    (stateOf(r) ?? w.system.ready)
                  ) : (
                    <span class="pill medium">{stateOf(r) ?? w.system.notReady}</span>
                  )
                ) : (
                  <span class="pill high">{w.system.noAnswer}</span>
                )}
              </td>
              <td>{number(r.partitions)}</td>
              <td>{number(r.lag_records)}</td>
              <td>{number(r.records_per_second)}</td>
              <td>{r.batch_p95_ms === null ? "–" : w.time.milliseconds({ n: number(r.batch_p95_ms) })}</td>
              <td>{r.behind_seconds === null ? "–" : w.time.seconds({ n: fixed(r.behind_seconds, 1) })}</td>
              <td>
                {r.stands_still_seconds === null
                  ? "–"
                  : r.stands_still_seconds < 10
                    ? w.system.no
                    : age(Math.round(r.stands_still_seconds))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function stateOf(row: ProcessRow): string | null {
  return row.state === null ? null : named(w.system.states, row.state);
}

function number(value: number | null): string {
  return value === null ? "–" : grouped(value, value < 100 ? 1 : 0);
}
