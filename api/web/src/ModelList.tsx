// The models that are registered here: who may score, and what the gates said of each.

import { getModels } from "./api";
import { Panel, useAsked } from "./panel";
import { nowMs } from "./store";
import { moment, utc } from "./times";
import type { ModelRow } from "./types";

const REFRESH_MS = 30_000;

export function ModelList() {
  const asked = useAsked("models", getModels, REFRESH_MS);
  return (
    <section class="panel" aria-labelledby="models-title" data-testid="models-list">
      <h2 id="models-title">Models</h2>
      <Panel
        asked={asked}
        what="the models"
        empty={(found) => (found.length === 0 ? "No model is registered. The rules need none." : null)}
      >
        {(found) => <Table rows={found} />}
      </Panel>
      <p class="fine">
        A champion's scores count; a shadow's are compared and never alarm; the others score nobody.
      </p>
    </section>
  );
}

function Table({ rows }: { rows: readonly ModelRow[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="table-box" tabIndex={0} aria-label="Registered models">
      <table class="figures models-list">
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col">Version</th>
            <th scope="col">Stage</th>
            <th scope="col">Trained with</th>
            <th scope="col">Since</th>
            <th scope="col">By</th>
            <th scope="col">Reason</th>
            <th scope="col">Gates</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((r) => (
            <tr key={`${r.name} ${r.version}`} data-testid="model" data-model={r.name} data-stage={r.stage}>
              <th scope="row">{r.name.replaceAll("_", " ")}</th>
              <td>{r.version}</td>
              <td>{r.stage === "champion" ? <strong>champion</strong> : r.stage}</td>
              <td>{r.framework}</td>
              <td>
                <time dateTime={r.since} title={utc(Date.parse(r.since))}>
                  {moment(Date.parse(r.since), nowMs.peek())}
                </time>
              </td>
              <td>{r.by}</td>
              <td>{r.reason}</td>
              <td class={r.gates.startsWith("NOT") ? "wrong-words" : ""}>
                {r.gates === "" ? "not asked" : r.gates}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
