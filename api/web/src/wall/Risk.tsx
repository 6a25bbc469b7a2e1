// The score of a patient as a small chip: how far the patient is from their own usual, never a number while it is not known.

import type { Bed } from "../store";
import type { Risk } from "../types";

export function RiskChip({ bed }: { bed: Bed }) {
  const risk = bed.risk.value;
  if (risk === null) return <span class="risk" title="No score yet" />;
  return (
    <span class={`risk ${level(risk)}`} title={riskTitle(risk)} data-testid="risk" data-status={risk.status}>
      {risk.status === "ok" && risk.score !== null
        ? `Δ ${risk.score.toFixed(1)}`
        : risk.status === "not_ready"
          ? "learning"
          : "Δ –"}
    </span>
  );
}

function level(risk: Risk): string {
  if (risk.status !== "ok" || risk.score === null) return "unknown";
  return risk.score >= 8 ? "high" : risk.score >= 4 ? "medium" : "low";
}

export function riskTitle(risk: Risk): string {
  const model = `${risk.model.replaceAll("_", " ")} v${risk.version}`;
  if (risk.status === "not_ready") return `${model}: has not seen enough of this patient yet`;
  if (risk.status === "insufficient") return `${model}: too little usable data`;
  if (risk.status === "failed") return `${model}: gave no valid answer`;
  return `${model}: deviation from the patient's own baseline`;
}
