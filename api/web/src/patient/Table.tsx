// The courses as a table, for those who read better than they see, and for screen readers.

import { fixed } from "../numbers";
import { metrics } from "../store";
import { day, minute, utc } from "../times";
import { unitText } from "../wall/units";
import { w } from "../words";
import type { History } from "./history";
import { rows } from "./trends";

export function Table({ history, rowMs }: { history: History; rowMs: number }) {
  const shown = history.series.filter((s) => s.points.some((p) => p.v !== null));
  const found = rows(shown, history.from, history.to, rowMs);
  if (found.length === 0) return <p class="quiet">{w.trends.nothing}</p>;
  const decimals = shown.map((s) => metrics.value.get(s.metric)?.decimals ?? 0);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="table-box" tabIndex={0} aria-label={w.table.title}>
      <table class="values" data-testid="table">
        <caption>{w.table.caption({ each: words(rowMs) })}</caption>
        <thead>
          <tr>
            <th scope="col">{w.table.time}</th>
            {shown.map((s) => (
              <th key={s.metric} scope="col">
                {metrics.value.get(s.metric)?.label ?? s.metric} <span class="unit">{unitText(s.unit)}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {found.map((row) => (
            <tr key={row.t}>
              <th scope="row">
                <time dateTime={new Date(row.t).toISOString()} title={utc(row.t)}>
                  {day(row.t)} {minute(row.t)}
                </time>
              </th>
              {row.cells.map((cell, k) => (
                <td key={shown[k]?.metric}>
                  {cell === null ? (
                    <span class="quiet-cell">{"–"}</span>
                  ) : (
                    <>
                      {fixed(cell.mean, decimals[k] ?? 0)}
                      {cell.low !== cell.high && (
                        <small>
                          {` (${fixed(cell.low, decimals[k] ?? 0)}–${fixed(cell.high, decimals[k] ?? 0)})`}
                        </small>
                      )}
                    </>
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function words(ms: number): string {
  const minutes = ms / 60_000;
  return minutes < 60 ? w.table.minutes({ n: minutes }) : w.table.hours({ n: minutes / 60 });
}
