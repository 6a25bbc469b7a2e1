// The score of a patient as a small chip: how far the patient is from their own usual, never a number while it is not known.

import { fixed } from "../numbers";
import type { Bed } from "../store";
import type { Risk } from "../types";
import { w } from "../words";

export function RiskChip({ bed }: { bed: Bed }) {
  const risk = bed.risk.value;
  if (risk === null) return <span class="risk" title={w.wall.noScore} />;
  return (
    <span class={`risk ${level(risk)}`} title={riskTitle(risk)} data-testid="risk" data-status={risk.status}>
      {risk.status === "ok" && risk.score !== null
        ? w.wall.deviation({ score: fixed(risk.score, 1) })
        : risk.status === "not_ready"
          ? w.wall.learning
          : w.wall.deviation({ score: "–" })}
    </span>
  );
}

function level(risk: Risk): string {
  if (risk.status !== "ok" || risk.score === null) return "unknown";
  return risk.score >= 8 ? "high" : risk.score >= 4 ? "medium" : "low";
}

export function riskTitle(risk: Risk): string {
  const model = w.common.modelVersion({ model: risk.model.replaceAll("_", " "), version: risk.version });
  return w.wall.scores[risk.status]({ model });
}
