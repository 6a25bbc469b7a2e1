// What every model says now, with its name and version, and why the shown score is what it is.

import { getScores } from "../api";
import { isShadow, modelName, newest, scoreText } from "../models";
import { fixed } from "../numbers";
import { Panel, useAsked } from "../panel";
import { type Bed, metrics, nowMs } from "../store";
import type { Risk } from "../types";
import { riskTitle } from "../wall/Risk";
import { w } from "../words";

const SPEAKS_MS = 150_000; // a trained model speaks once a minute
const REFRESH_MS = 5_000;

export function Models({ id }: { id: string }) {
  const asked = useAsked(
    `models ${id}`,
    () => getScores(id, nowMs.peek() - SPEAKS_MS, nowMs.peek()).then(newest),
    REFRESH_MS,
  );
  if (asked.trouble === null && (asked.data?.length ?? 0) === 0) return null;
  return (
    <Panel asked={asked} thing={w.things.modelsSay}>
      {(scores) => (
        <table class="models" data-testid="models" aria-label={w.models.title}>
          <tbody>
            {scores.map((score) => (
              <tr key={score.model} data-model={score.model} data-status={score.status}>
                <th scope="row">
                  {modelName(score)} <small>{w.common.version(score)}</small>
                </th>
                <td class={score.status === "ok" ? "" : "unknown"}>{scoreText(score)}</td>
                <td>{isShadow(score) && <small>{w.models.shadow}</small>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

export interface Part {
  metric: string;
  label: string;
  share: number; // of the sum of all parts that add to the score
  off: string | null; // against the patient's own baseline, "+9 /min"
}

// The metrics that add most to a score, with how far each is from the patient's own usual.
export function parts(
  risk: Risk,
  unit: (metric: string) => { label: string; decimals: number; unit: string },
): Part[] {
  const adding = Object.entries(risk.contributions).filter(([, part]) => part > 0);
  const sum = adding.reduce((total, [, part]) => total + part, 0);
  return adding
    .sort(([, a], [, b]) => b - a)
    .map(([metric, part]) => {
      const info = unit(metric);
      const off = risk.deviations[metric];
      const sign = off === null || off === undefined ? null : off < 0 ? "−" : "+";
      return {
        metric,
        label: info.label,
        share: part / sum,
        off: sign === null ? null : `${sign}${fixed(Math.abs(off ?? 0), info.decimals)} ${info.unit}`.trim(),
      };
    });
}

export function metricInfo(metric: string): { label: string; decimals: number; unit: string } {
  const info = metrics.value.get(metric);
  return { label: info?.label ?? metric, decimals: info?.decimals ?? 0, unit: info?.unit ?? "" };
}

export function RiskLine({ bed }: { bed: Bed }) {
  const risk = bed.risk.value;
  if (risk === null) return null;
  const found = parts(risk, metricInfo);
  const said = found.map((p) => w.models.offBaseline({ metric: p.label, off: p.off }));
  return (
    <p class="risk-line" data-testid="risk-line">
      <strong>
        {w.wall.deviation({
          score: risk.status === "ok" && risk.score !== null ? fixed(risk.score, 1) : "–",
        })}
      </strong>{" "}
      {said.length > 0 ? w.models.all({ metrics: said }) : riskTitle(risk)}
      <small>
        {" "}
        {w.common.modelVersion({ model: risk.model.replaceAll("_", " "), version: risk.version })}
      </small>
    </p>
  );
}
