// What every model says now, with its name and version, and why the shown score is what it is.

import { getScores } from "../api";
import { isShadow, modelName, newest, scoreText } from "../models";
import { Panel, useAsked } from "../panel";
import { type Bed, metrics, nowMs } from "../store";
import type { Risk } from "../types";
import { riskTitle } from "../wall/Risk";

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
    <Panel asked={asked} what="what the models say">
      {(scores) => (
        <table class="models" data-testid="models" aria-label="What each model says">
          <tbody>
            {scores.map((score) => (
              <tr key={score.model} data-model={score.model} data-status={score.status}>
                <th scope="row">
                  {modelName(score)} <small>v{score.version}</small>
                </th>
                <td class={score.status === "ok" ? "" : "unknown"}>{scoreText(score)}</td>
                <td>{isShadow(score) && <small>shadow: compared, never alarms</small>}</td>
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
        off: sign === null ? null : `${sign}${Math.abs(off ?? 0).toFixed(info.decimals)} ${info.unit}`.trim(),
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
  const said = found.map((p) => `${p.label} ${p.off === null ? "" : `${p.off} `}from own baseline`);
  return (
    <p class="risk-line" data-testid="risk-line">
      <strong>{risk.status === "ok" && risk.score !== null ? `Δ ${risk.score.toFixed(1)}` : "Δ –"}</strong>{" "}
      {said.length > 0 ? said.join(", ") : riskTitle(risk)}
      <small>
        {" "}
        {risk.model.replaceAll("_", " ")} v{risk.version}
      </small>
    </p>
  );
}
