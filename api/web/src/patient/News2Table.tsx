// NEWS2 part by part, each with the age of what it rests on. With parts missing the sum is a lower bound, and says so.

import { type News2, news2 } from "../news2";
import { age } from "../stale";
import { type Bed, nowMs } from "../store";
import { w } from "../words";

export function assess(bed: Bed, now: number): News2 {
  return news2((metric) => {
    const found = bed.value(metric).value;
    const usable = found !== undefined && (found.quality === "good" || found.quality === "questionable");
    return usable && found.value !== null ? { value: found.value, timeMs: found.timeMs } : null;
  }, now);
}

// The sum; with parts missing the least that it can be.
export function totalText(found: News2): string {
  if (found.known === 0) return "–";
  return found.known === found.parts.length ? String(found.total) : w.news2.atLeast(found);
}

export function News2Table({ bed }: { bed: Bed }) {
  const found = assess(bed, nowMs.value);
  return (
    <section class="news2" aria-label={w.news2.title} data-testid="news2">
      <h3>
        {w.news2.title} <strong data-testid="news2-total">{totalText(found)}</strong>{" "}
        <small>
          {w.news2.risk({ risk: w.news2.risks[found.risk], known: found.known, of: found.parts.length })}
        </small>
      </h3>
      <table>
        <thead class="visually-hidden">
          <tr>
            <th scope="col">{w.news2.part}</th>
            <th scope="col">{w.news2.value}</th>
            <th scope="col">{w.news2.age}</th>
            <th scope="col">{w.news2.points}</th>
          </tr>
        </thead>
        <tbody>
          {found.parts.map((part) => (
            <tr key={part.metric} data-part={part.metric} class={`p${part.points ?? "-none"}`}>
              <th scope="row">{part.label}</th>
              <td>{part.text ?? (part.ageMs === null ? w.news2.notMeasured : w.news2.tooOld)}</td>
              <td class="age">
                {part.ageMs === null ? "" : age(Math.max(0, Math.floor(part.ageMs / 1000)))}
              </td>
              <td class="points">{part.points ?? "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="fine">{w.news2.rests}</p>
    </section>
  );
}
