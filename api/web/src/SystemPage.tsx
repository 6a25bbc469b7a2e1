// The page for those who run it: lag, throughput, latency, the canary and the workers. It knows no patient.

import { getProcesses, getSystem } from "./api";
import { Panel, useAsked } from "./panel";
import { age } from "./stale";
import { nowMs, serverOffsetMs, unacknowledged } from "./store";
import { clock, utc } from "./times";
import type { ProcessRow, SystemInfo } from "./types";

const REFRESH_MS = 5_000;

export function SystemPage() {
  const system = useAsked("system", getSystem, REFRESH_MS);
  const processes = useAsked("processes", getProcesses, REFRESH_MS);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <main class="desk" aria-label="System" data-testid="system" tabIndex={0}>
      {unacknowledged.value > 0 && (
        <p class="quiet">
          {unacknowledged.value} {unacknowledged.value === 1 ? "alarm waits" : "alarms wait"}:{" "}
          <a href="#ward">back to the ward</a>
        </p>
      )}
      <section class="panel" aria-labelledby="stream-title">
        <h2 id="stream-title">Stream</h2>
        <Panel asked={system} what="the state of the stream">
          {(found) => <Stream found={found} rows={processes.data ?? []} />}
        </Panel>
      </section>
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
  return (
    <dl class="facts">
      <div>
        <dt>Kafka</dt>
        <dd>{found.kafka === "ok" ? "answers" : <span class="pill high">away</span>}</dd>
      </div>
      <div>
        <dt>Newest tick</dt>
        <dd title={asOf === null ? "" : utc(asOf)}>
          {asOf === null
            ? "none yet"
            : `${clock(asOf)}, ${age(Math.max(0, Math.floor((nowMs.value - asOf) / 1000)))} ago`}
        </dd>
      </div>
      <div>
        <dt>Canary</dt>
        <dd data-testid="canary">
          {found.canary === null ? "none here" : (CANARY[found.canary] ?? found.canary)}
          {Object.entries(stages).map(([stage, s]) => (
            <small key={stage}>
              {" "}
              {stage} {s.toFixed(1)} s
            </small>
          ))}
        </dd>
      </div>
      <div>
        <dt>This screen's clock</dt>
        <dd>
          {Math.abs(serverOffsetMs.value) < 1000
            ? "agrees"
            : `${age(Math.round(Math.abs(serverOffsetMs.value) / 1000))} ${serverOffsetMs.value > 0 ? "behind" : "ahead"}`}
        </dd>
      </div>
      <div>
        <dt>Version</dt>
        <dd>{found.version}</dd>
      </div>
    </dl>
  );
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
