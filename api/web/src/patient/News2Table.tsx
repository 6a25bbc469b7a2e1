// NEWS2 part by part, each with the age of what it rests on. With parts missing the sum is a lower bound, and says so.

import { type News2, news2 } from "../news2";
import { age } from "../stale";
import { type Bed, nowMs } from "../store";

export function assess(bed: Bed, now: number): News2 {
  return news2((metric) => {
    const found = bed.value(metric).value;
    const usable = found !== undefined && (found.quality === "good" || found.quality === "questionable");
    return usable && found.value !== null ? { value: found.value, timeMs: found.timeMs } : null;
  }, now);
}

const RISKS: Record<News2["risk"], string> = {
  low: "low",
  "low-medium": "low to medium: one part alone has 3",
  medium: "medium",
  high: "high",
  unknown: "not known: parts are missing",
};

export function News2Table({ bed }: { bed: Bed }) {
  const found = assess(bed, nowMs.value);
  const whole = found.known === found.parts.length;
  return (
    <section class="news2" aria-label="NEWS2" data-testid="news2">
      <h3>
        NEWS2{" "}
        <strong data-testid="news2-total">
          {found.known === 0 ? "–" : `${whole ? "" : "≥ "}${found.total}`}
        </strong>{" "}
        <small>
          risk {RISKS[found.risk]}
          {!whole && `; ${found.known} of ${found.parts.length} parts known`}
        </small>
      </h3>
      <table>
        <thead class="visually-hidden">
          <tr>
            <th scope="col">Part</th>
            <th scope="col">Value</th>
            <th scope="col">Age</th>
            <th scope="col">Points</th>
          </tr>
        </thead>
        <tbody>
          {found.parts.map((part) => (
            <tr key={part.metric} data-part={part.metric} class={`p${part.points ?? "-none"}`}>
              <th scope="row">{part.label}</th>
              <td>{part.text ?? (part.ageMs === null ? "not measured" : "too old")}</td>
              <td class="age">
                {part.ageMs === null ? "" : age(Math.max(0, Math.floor(part.ageMs / 1000)))}
              </td>
              <td class="points">{part.points ?? "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="fine">From the newest values. Not under 16 years, nor in pregnancy. SpO2 scale 1.</p>
    </section>
  );
}
