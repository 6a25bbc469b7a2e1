// Beds by unit, and by how urgently they call.

import { computed } from "@preact/signals";
import { Scrolls } from "../Scrolls";
import { beds, feed, nowMs } from "../store";
import { census } from "./census";

const units = computed(() =>
  census(
    [...beds.value.values()].map((bed) => ({
      id: bed.id,
      bed: bed.who.value.bed,
      name: bed.who.value.name,
      unit: bed.who.value.unit,
      measured: bed.measured.value,
      alarms: bed.alarms.value,
    })),
    nowMs.value,
  ),
);

export function CensusPanel() {
  const found = units.value;
  const all = found.reduce((sum, u) => sum + u.beds, 0);
  return (
    <section class="panel" aria-labelledby="census-title" data-testid="census">
      <h2 id="census-title">
        Census <small>{all} beds</small>
      </h2>
      {found.length === 0 ? (
        <p class="quiet" data-testid="panel-empty">
          {feed.value === "connecting" ? "Connecting to the ward…" : "No patients yet."}
        </p>
      ) : (
        <Scrolls label="Beds by unit">
          <table class="figures">
            <thead>
              <tr>
                <th scope="col">Unit</th>
                <th scope="col">Beds</th>
                <th scope="col">High</th>
                <th scope="col">Medium</th>
                <th scope="col">Low</th>
                <th scope="col">Technical only</th>
                <th scope="col">All seen to</th>
                <th scope="col">Never measured</th>
              </tr>
            </thead>
            <tbody>
              {found.map((u) => (
                <tr key={u.unit} data-unit={u.unit}>
                  <th scope="row">{u.unit}</th>
                  <td>{u.beds}</td>
                  <Calling number={u.calling.high} tone="high" />
                  <Calling number={u.calling.medium} tone="medium" />
                  <Calling number={u.calling.low} tone="low" />
                  <Calling number={u.technical} tone="technical" />
                  <td>{u.quiet}</td>
                  <td>{u.unseen}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scrolls>
      )}
      <p class="fine">Each bed once, by the most urgent alarm that waits.</p>
    </section>
  );
}

function Calling({ number, tone }: { number: number; tone: string }) {
  return <td>{number > 0 ? <span class={`pill ${tone}`}>{number}</span> : 0}</td>;
}
