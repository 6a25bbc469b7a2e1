// Beds by unit, and by how urgently they call.

import { computed } from "@preact/signals";
import { Scrolls } from "../Scrolls";
import { beds, feed, nowMs } from "../store";
import { w } from "../words";
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
        {w.census.title} <small>{w.census.beds({ n: all })}</small>
      </h2>
      {found.length === 0 ? (
        <p class="quiet" data-testid="panel-empty">
          {feed.value === "connecting" ? w.common.connecting : w.census.none}
        </p>
      ) : (
        <Scrolls label={w.census.byUnit}>
          <table class="figures">
            <thead>
              <tr>
                <th scope="col">{w.census.columns.unit}</th>
                <th scope="col">{w.census.columns.beds}</th>
                <th scope="col">{w.census.columns.high}</th>
                <th scope="col">{w.census.columns.medium}</th>
                <th scope="col">{w.census.columns.low}</th>
                <th scope="col">{w.census.columns.technical}</th>
                <th scope="col">{w.census.columns.quiet}</th>
                <th scope="col">{w.census.columns.unseen}</th>
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
      <p class="fine">{w.census.once}</p>
    </section>
  );
}

function Calling({ number, tone }: { number: number; tone: string }) {
  return <td>{number > 0 ? <span class={`pill ${tone}`}>{number}</span> : 0}</td>;
}
