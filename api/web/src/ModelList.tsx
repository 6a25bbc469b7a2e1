// The models that are registered here: who may score, and what the gates said of each.

import { getModels } from "./api";
import { Panel, useAsked } from "./panel";
import { nowMs } from "./store";
import { moment, utc } from "./times";
import type { ModelRow } from "./types";
import { named, w } from "./words";

const REFRESH_MS = 30_000;

export function ModelList() {
  const asked = useAsked("models", getModels, REFRESH_MS);
  return (
    <section class="panel" aria-labelledby="models-title" data-testid="models-list">
      <h2 id="models-title">{w.modelList.title}</h2>
      <Panel
        asked={asked}
        thing={w.things.models}
        empty={(found) => (found.length === 0 ? w.modelList.none : null)}
      >
        {(found) => <Table rows={found} />}
      </Panel>
      <p class="fine">{w.modelList.legend}</p>
    </section>
  );
}

const stage = (row: ModelRow): string => named(w.modelList.stages, row.stage);

function Table({ rows }: { rows: readonly ModelRow[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="table-box" tabIndex={0} aria-label={w.modelList.table}>
      <table class="figures models-list">
        <thead>
          <tr>
            <th scope="col">{w.modelList.columns.model}</th>
            <th scope="col">{w.modelList.columns.version}</th>
            <th scope="col">{w.modelList.columns.stage}</th>
            <th scope="col">{w.modelList.columns.framework}</th>
            <th scope="col">{w.modelList.columns.since}</th>
            <th scope="col">{w.modelList.columns.by}</th>
            <th scope="col">{w.modelList.columns.reason}</th>
            <th scope="col">{w.modelList.columns.gates}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((r) => (
            <tr key={`${r.name} ${r.version}`} data-testid="model" data-model={r.name} data-stage={r.stage}>
              <th scope="row">{r.name.replaceAll("_", " ")}</th>
              <td>{r.version}</td>
              <td>{r.stage === "champion" ? <strong>{stage(r)}</strong> : stage(r)}</td>
              <td>{r.framework}</td>
              <td>
                <time dateTime={r.since} title={utc(Date.parse(r.since))}>
                  {moment(Date.parse(r.since), nowMs.peek())}
                </time>
              </td>
              <td>{r.by}</td>
              <td>{r.reason}</td>
              <td class={r.gates.startsWith("NOT") ? "wrong-words" : ""}>
                {r.gates === "" ? w.modelList.notAsked : r.gates}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
