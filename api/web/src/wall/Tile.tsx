// One bed on the wall.

import { useEffect } from "preact/hooks";
import { getSeries } from "../api";
import { PriorityIcon } from "../icons";
import { type Bed, nowMs, openPatient, TRACE_SECONDS, worst } from "../store";
import type { Alarm, Patient, Risk } from "../types";
import { Numeric, Pressure } from "./Numeric";
import { Spark } from "./Spark";

export function Tile({ bed }: { bed: Bed }) {
  const who = bed.who.value;
  useEffect(() => {
    seedTraces(bed);
  }, [bed]);
  const name = who.name ?? who.id;
  return (
    <article
      class="tile"
      data-testid="tile"
      data-patient={who.id}
      data-priority={tilePriority(bed.alarms.value)}
    >
      <button
        type="button"
        class="open"
        onClick={() => (openPatient.value = who.id)}
        aria-label={`${who.bed ?? ""} ${name}, details`}
      >
        <span class="bed">{who.bed ?? "–"}</span>
        <span class="name">{name}</span>
        <span class="person">{person(who)}</span>
      </button>
      <RiskChip bed={bed} />
      <AlarmBar alarms={bed.alarms.value} />
      {bed.measured.value ? (
        <>
          <div class="numerics">
            <Numeric bed={bed} metric="heart_rate" fallback="pulse_rate" label="HR" big trend={6} />
            <Numeric bed={bed} metric="spo2" big trend={2} />
            <Numeric bed={bed} metric="respiratory_rate" />
            <Pressure bed={bed} />
            <Numeric bed={bed} metric="temperature" />
          </div>
          <div class="sparks">
            <Spark bed={bed} metric="heart_rate" fallback="pulse_rate" />
            <Spark bed={bed} metric="spo2" />
          </div>
        </>
      ) : (
        <p class="empty">No data from this patient yet. Check the device and its link.</p>
      )}
    </article>
  );
}

function tilePriority(list: readonly Alarm[]): string {
  const waiting = list.filter((a) => a.state !== "acknowledged");
  const physiological = worst(waiting.filter((a) => a.lane === "physiological"));
  if (physiological !== null) return physiological;
  if (waiting.length > 0) return "technical";
  return list.length > 0 ? "acknowledged" : "none";
}

export function AlarmBar({ alarms }: { alarms: readonly Alarm[] }) {
  const first = alarms[0];
  if (first === undefined) return <div class="bar none" />;
  const technical = first.lane === "technical";
  return (
    <div
      class={`bar ${technical ? "technical" : first.priority} ${first.state}`}
      data-testid="alarm-bar"
      data-priority={first.priority}
      data-state={first.state}
    >
      <PriorityIcon priority={first.priority} technical={technical} />
      <span class="text">{first.text}</span>
      {alarms.length > 1 && <span class="more">+{alarms.length - 1}</span>}
    </div>
  );
}

export function RiskChip({ bed }: { bed: Bed }) {
  const risk = bed.risk.value;
  if (risk === null) return <span class="risk" title="No score yet" />;
  return (
    <span class={`risk ${level(risk)}`} title={riskTitle(risk)} data-testid="risk" data-status={risk.status}>
      {risk.status === "ok" && risk.score !== null
        ? `Δ ${risk.score.toFixed(1)}`
        : risk.status === "not_ready"
          ? "learning"
          : "–"}
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

function person(who: Omit<Patient, "latest" | "risk" | "alarms">): string {
  return [who.age, who.sex].filter((x) => x !== null).join(" ");
}

// The ten minutes before this page was opened, fetched once per bed.
function seedTraces(bed: Bed): void {
  if (bed.seeded) return;
  bed.seeded = true;
  const to = nowMs.peek();
  getSeries(bed.id, ["heart_rate", "spo2"], to - TRACE_SECONDS * 1000, to, 200)
    .then((all) => {
      for (const series of all)
        bed.seed(
          series.metric,
          series.points.filter((p) => p.v !== null).map((p) => ({ t: p.t, v: p.v })),
        );
    })
    .catch(() => {
      bed.seeded = false; // the live feed fills the trace; the next view may try again
    });
}
