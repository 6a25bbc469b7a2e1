// One bed on the wall.

import { computed } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { sorted, waits } from "../alarms/inbox";
import { getSeries } from "../api";
import { carers } from "../carers";
import { BatteryIcon, LinkIcon } from "../icons";
import { type Bed, me, nowMs, openPatient, TRACE_SECONDS, worst } from "../store";
import { minute } from "../times";
import type { Alarm, Patient } from "../types";
import { named, w } from "../words";
import { AlarmBar } from "./AlarmBar";
import { trouble } from "./devices";
import { Numeric, Pressure } from "./Numeric";
import { RiskChip } from "./Risk";
import { Spark } from "./Spark";
import { inTurn } from "./turns";
import { initials, kiosk } from "./view";

export function Tile({ bed }: { bed: Bed }) {
  const who = bed.who.value;
  useEffect(() => {
    seedTraces(bed);
  }, [bed]);
  const priority = useMemo(() => computed(() => tilePriority(bed.alarms.value, nowMs.value)), [bed]);
  const name = who.name === null ? who.id : kiosk.value ? initials(who.name) : who.name;
  return (
    <article class="tile" data-testid="tile" data-patient={who.id} data-priority={priority.value}>
      <button type="button" class="open" onClick={() => (openPatient.value = who.id)}>
        <span class="bed">{who.bed ?? "–"}</span>
        <span class="name">{name}</span>
        <span class="person">{person(who)}</span>
      </button>
      <span class="chips">
        <CarerChip bed={bed} />
        <DeviceIcons bed={bed} />
        <RiskChip bed={bed} />
      </span>
      <Bar bed={bed} />
      {bed.measured.value ? (
        <>
          <div class="numerics">
            <Numeric
              bed={bed}
              metric="heart_rate"
              fallback="pulse_rate"
              label={w.common.heartRate}
              big
              trend={6}
            />
            <Numeric bed={bed} metric="spo2" big trend={2} />
            <Numeric bed={bed} metric="respiratory_rate" trend={4} />
            <Pressure bed={bed} />
            <Numeric bed={bed} metric="temperature" short={w.wall.temperature} />
          </div>
          <div class="sparks">
            <Spark bed={bed} metric="heart_rate" fallback="pulse_rate" />
            <Spark bed={bed} metric="spo2" />
          </div>
        </>
      ) : (
        <p class="empty">{w.wall.neverMeasured}</p>
      )}
    </article>
  );
}

// Who looks after the patient: a name on a kiosk as everywhere else is initials there.
function CarerChip({ bed }: { bed: Bed }) {
  const carer = carers.value.get(bed.id);
  if (carer === undefined) return null;
  const mine = carer.person === me.value;
  return (
    <span
      class={`carer-chip ${mine ? "mine" : ""}`}
      title={w.wall.carer({ person: carer.person, until: minute(Date.parse(carer.until)) })}
      data-testid="carer-chip"
    >
      {initials(carer.person)}
    </span>
  );
}

function DeviceIcons({ bed }: { bed: Bed }) {
  const { link, battery, critical } = trouble(bed.alarms.value);
  return (
    <>
      {battery !== null && <BatteryIcon label={battery} critical={critical} />}
      {link !== null && <LinkIcon label={link} />}
    </>
  );
}

// Only a bed with alarms follows the clock: a snooze counts down.
function Bar({ bed }: { bed: Bed }) {
  const list = bed.alarms.value;
  if (list.length === 0) return <div class="bar none" />;
  const now = nowMs.value;
  return <AlarmBar alarms={sorted(list, now)} now={now} />;
}

export function tilePriority(list: readonly Alarm[], now: number): string {
  const waiting = list.filter((a) => waits(a, now));
  const physiological = worst(waiting.filter((a) => a.lane === "physiological"));
  if (physiological !== null) return physiological;
  if (waiting.length > 0) return "technical";
  return list.length > 0 ? "acknowledged" : "none";
}

function person(who: Omit<Patient, "latest" | "risk" | "alarms">): string {
  return [who.age, who.sex === null ? null : named(w.common.sexes, who.sex)]
    .filter((x) => x !== null)
    .join(" ");
}

// The ten minutes before this page was opened, fetched once per bed.
function seedTraces(bed: Bed): void {
  if (bed.seeded) return;
  bed.seeded = true;
  inTurn(async () => {
    const to = nowMs.peek();
    try {
      const all = await getSeries(bed.id, SEEDED, to - TRACE_SECONDS * 1000, to, 200);
      for (const series of all)
        bed.seed(
          series.metric,
          series.points.flatMap((p) => (p.v === null ? [] : [{ t: p.t, v: p.v }])),
        );
    } catch {
      bed.seeded = false; // the live feed fills the trace; the next view may try again
    }
  });
}

const SEEDED = ["heart_rate", "pulse_rate", "spo2", "respiratory_rate"] as const;
