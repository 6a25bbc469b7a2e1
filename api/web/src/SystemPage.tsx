// The page for those who run it: lag, throughput, latency, the canary and the workers. It knows no patient.

import type { ComponentChildren } from "preact";
import { account, seesPatients } from "./access/session";
import { getProcesses, getSystem } from "./api";
import { ModelList } from "./ModelList";
import { Panel, useAsked } from "./panel";
import { age } from "./stale";
import { unacknowledged } from "./store";
import { clock, utc } from "./times";
import type { ProcessRow, SystemInfo } from "./types";

const REFRESH_MS = 5_000;

export function SystemPage() {
  const system = useAsked("system", getSystem, REFRESH_MS);
  const processes = useAsked("processes", getProcesses, REFRESH_MS);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <main class="desk" aria-label="System" data-testid="system" tabIndex={0}>
      {!seesPatients.value && (
        <p class="quiet" data-testid="no-patients">
          You are logged in as {account.value?.name} ({account.value?.role}). This role sees no patients.
        </p>
      )}
      {unacknowledged.value > 0 && (
        <p class="quiet">
          {unacknowledged.value} {unacknowledged.value === 1 ? "alarm waits" : "alarms wait"}:{" "}
          <a href="#ward">back to the ward</a>
        </p>
      )}
      <section class="panel" aria-labelledby="stream-title" data-testid="stream">
        <h2 id="stream-title">Stream</h2>
        <Panel asked={system} what="the state of the stream">
          {(found) => <Stream found={found} rows={processes.data ?? []} />}
        </Panel>
      </section>
      <ModelList />
      <section class="panel" aria-labelledby="processes-title" data-testid="processes">
        <h2 id="processes-title">
          Processes {processes.data !== null && <small>{summary(processes.data)}</small>}
        </h2>
        <Panel
          asked={processes}
          what="the processes"
          empty={(found) =>
            found.length === 0 ? "This server was not told where the other processes are." : null
          }
        >
          {(found) => <Table rows={found} />}
        </Panel>
        <p class="fine">
          Lag: messages that wait. Behind: the age of the newest moment of the stream that was worked through.
          p95: of a batch, at the API of an answer, since the last look.
        </p>
      </section>
    </main>
  );
}

const CANARY: Record<string, string> = {
  starting: "starting",
  ok: "comes through",
  late: "late",
  dead: "does not come through",
  unknown: "does not answer: nothing watches the stream",
};

function Stream({ found, rows }: { found: SystemInfo; rows: readonly ProcessRow[] }) {
  const asOf = found.data_as_of === null ? null : Date.parse(found.data_as_of);
  const stages = rows.find((r) => r.room === "canary")?.stages ?? {};
  const sums = summed(rows);
  const nowMs = Date.parse(found.server_time);
  const oldS = asOf === null ? null : Math.max(0, Math.round((nowMs - asOf) / 1000));
  return (
    <dl class="facts cards-of-facts">
      <Fact name="Kafka" tone={found.kafka === "ok" ? "well" : "ill"}>
        {found.kafka === "ok" ? "answers" : "away"}
      </Fact>
      <Fact name="Newest tick" tone={oldS === null ? "unknown" : oldS <= TICK_OLD_S ? "well" : "ill"}>
        {oldS === null || asOf === null ? (
          "none yet"
        ) : (
          <time dateTime={found.data_as_of ?? ""} title={utc(asOf)}>
            {age(oldS)} ago <small>{clock(asOf)}</small>
          </time>
        )}
      </Fact>
      <Fact name="Canary" tone={tone(found.canary)} testId="canary">
        {found.canary === null ? "none here" : (CANARY[found.canary] ?? found.canary)}
      </Fact>
      <Fact name="Messages that wait">{number(sums.lag)}</Fact>
      <Fact name="Messages a second">{number(sums.rate)}</Fact>
      <Fact name="Slowest batch, p95">
        {sums.slowest === null ? (
          "–"
        ) : (
          <>
            {number(sums.slowest.ms)} ms <small>{sums.slowest.name}</small>
          </>
        )}
      </Fact>
      <Fact name="Screens and programs">{number(sums.viewers)}</Fact>
      <Fact name="Version">{found.version}</Fact>
      {Object.keys(stages).length > 0 && (
        <div class="wide">
          <dt>Age of what the canary saw come through</dt>
          <dd class="stages">
            {Object.entries(stages).map(([stage, s]) => (
              <span key={stage}>
                {stage} <strong>{s.toFixed(1)} s</strong>
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
  return `${rows.length}, ${away === 0 ? "all ready" : `${away} not ready`}`;
}

function Table({ rows }: { rows: readonly ProcessRow[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="table-box" tabIndex={0} aria-label="Processes">
      <table class="figures">
        <thead>
          <tr>
            <th scope="col">Process</th>
            <th scope="col">State</th>
            <th scope="col">Partitions</th>
            <th scope="col">Lag</th>
            <th scope="col">Messages/s</th>
            <th scope="col">p95</th>
            <th scope="col">Behind</th>
            <th scope="col">Stands still</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((r) => (
            <tr key={r.name} data-testid="process" data-process={r.name} data-ready={r.ready}>
              <th scope="row">{r.name}</th>
              <td>
                {r.answers ? (
                  r.ready === true ? (
                    (r.state ?? "ready")
                  ) : (
                    <span class="pill medium">{r.state ?? "not ready"}</span>
                  )
                ) : (
                  <span class="pill high">does not answer</span>
                )}
              </td>
              <td>{number(r.partitions)}</td>
              <td>{number(r.lag_records)}</td>
              <td>{number(r.records_per_second)}</td>
              <td>{r.batch_p95_ms === null ? "–" : `${number(r.batch_p95_ms)} ms`}</td>
              <td>{r.behind_seconds === null ? "–" : `${r.behind_seconds.toFixed(1)} s`}</td>
              <td>
                {r.stands_still_seconds === null
                  ? "–"
                  : r.stands_still_seconds < 10
                    ? "no"
                    : age(Math.round(r.stands_still_seconds))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function number(value: number | null): string {
  return value === null ? "–" : value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 1 : 0 });
}
