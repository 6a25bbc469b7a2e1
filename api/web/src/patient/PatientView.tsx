// One patient in detail: values now, open alarms, courses, NEWS2 part by part, what people observed, and what every model says.

import { useEffect, useRef, useState } from "preact/hooks";
import { may } from "../access/session";
import { busy, failures } from "../alarms/acting";
import { acknowledge } from "../alarms/actions";
import { where } from "../alarms/Card";
import { Undo } from "../alarms/Undo";
import { getAlarms } from "../api";
import { carers } from "../carers";
import { Panel, useAsked } from "../panel";
import { type Bed, beds, nowMs, openPatient, selectedAlarm, waiting } from "../store";
import { AsOf, Banner, LinkState } from "../Trust";
import { stamp, utc } from "../times";
import { AlarmBar } from "../wall/AlarmBar";
import { Numeric, Pressure } from "../wall/Numeric";
import { named, w } from "../words";
import { Handover } from "./Handover";
import { Limits } from "./Limits";
import { Models, RiskLine } from "./Models";
import { News2Table } from "./News2Table";
import { Observations } from "./Observe";
import { Trends } from "./Trends";

const REFRESH_MS = 5_000;

export function PatientView() {
  const id = openPatient.value;
  const bed = id === null ? undefined : beds.value.get(id);
  const dialog = useRef<HTMLDialogElement>(null);
  const open = bed !== undefined;
  useEffect(() => {
    const element = dialog.current;
    if (element === null) return;
    if (open && !element.open) element.showModal();
    if (!open && element.open) element.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      class="patient"
      aria-label={w.patient.title}
      data-testid="patient"
      data-patient={id}
      onClose={() => (openPatient.value = null)}
    >
      {bed !== undefined && (
        <>
          <Detail key={bed.id} bed={bed} />
          <Undo />
        </>
      )}
    </dialog>
  );
}

type Part = "trends" | "limits" | "handover";

function Detail({ bed }: { bed: Bed }) {
  const who = bed.who.value;
  const carer = carers.value.get(bed.id);
  const [part, setPart] = useState<Part>("trends");
  const turn = (to: Part) => () => setPart(part === to ? "trends" : to);
  return (
    <>
      <header class="no-print">
        <span class="bed">{who.bed ?? "–"}</span>
        <h2>{who.name ?? who.id}</h2>
        <span class="person">
          {[
            who.age,
            who.sex === null ? null : named(w.common.sexes, who.sex),
            who.unit,
            carer === undefined ? null : w.patient.withCarer(carer),
          ]
            .filter((x) => x !== null)
            .join(" · ")}
        </span>
        <span class="space" />
        <LinkState />
        <AsOf />
        <button
          type="button"
          onClick={turn("limits")}
          aria-pressed={part === "limits"}
          data-testid="limits-open"
        >
          {w.patient.limits}
        </button>
        <button
          type="button"
          onClick={turn("handover")}
          aria-pressed={part === "handover"}
          data-testid="handover-open"
        >
          {w.patient.handover}
        </button>
        <button
          type="button"
          class="close"
          onClick={() => (openPatient.value = null)}
          aria-label={w.common.close}
        >
          {"✕"}
        </button>
      </header>
      <div class="no-print">
        <Banner />
        <OtherAlarms id={bed.id} />
      </div>
      {part === "handover" && <Handover bed={bed} onClose={turn("trends")} />}
      {part === "limits" && <Limits bed={bed} onClose={turn("trends")} />}
      {part === "trends" && (
        <>
          <div class="now">
            <Numeric bed={bed} metric="heart_rate" fallback="pulse_rate" label={w.common.heartRate} big />
            <Numeric bed={bed} metric="spo2" big />
            <Numeric bed={bed} metric="respiratory_rate" big />
            <Pressure bed={bed} />
            <Numeric bed={bed} metric="temperature" />
          </div>
          <div class="columns">
            <Trends bed={bed} height={height()} />
            <div class="beside">
              <OpenAlarms bed={bed} />
              <RiskLine bed={bed} />
              <News2Table bed={bed} />
              <Observations bed={bed} />
              <Models id={bed.id} />
              <Aside id={bed.id} />
            </div>
          </div>
        </>
      )}
    </>
  );
}

// Six charts share the height of a screen; on a phone one scrolls.
function height(): number {
  return Math.max(84, Math.min(150, Math.floor((window.innerHeight - 260) / 6) - 20));
}

function OpenAlarms({ bed }: { bed: Bed }) {
  const list = bed.alarms.value;
  return (
    <section class="open-alarms" aria-label={w.patient.openAlarms}>
      {list.length === 0 ? <p class="quiet">{w.common.noOpenAlarms}</p> : null}
      {list.map((alarm) => (
        <div key={alarm.id} class="open-alarm">
          <AlarmBar alarms={[alarm]} now={nowMs.value} />
          <p class="why">{alarm.reasons.map((r) => r.text).join(" · ")}</p>
          {alarm.state === "acknowledged" ? (
            <p class="fine">{w.inbox.acknowledgedBy({ by: alarm.acknowledged_by ?? w.common.somebody })}</p>
          ) : (
            <button
              type="button"
              hidden={!may("alarm.act")}
              class="main"
              disabled={busy.value.has(alarm.id)}
              onClick={() => void acknowledge(alarm)}
            >
              {w.inbox.acknowledge}
            </button>
          )}
          {failures.value.has(alarm.id) && (
            <p class="error" role="alert">
              {failures.value.get(alarm.id)}
            </p>
          )}
        </div>
      ))}
    </section>
  );
}

// While one patient is looked at, the others still call: the most urgent of them by name, one click away.
function OtherAlarms({ id }: { id: string }) {
  const others = waiting.value.filter((a) => a.patient !== id);
  const first = others[0];
  if (first === undefined) return null;
  const technical = first.lane === "technical";
  return (
    <button
      type="button"
      class={`others bar ${technical ? "technical" : first.priority}`}
      data-testid="others"
      onClick={() => {
        selectedAlarm.value = first.id;
        openPatient.value = first.subject === "group" ? null : first.patient;
      }}
    >
      <span class="text">{w.patient.other({ where: where(first), alarm: first.text })}</span>
      {others.length > 1 && <span>{w.patient.moreOthers({ n: others.length - 1 })}</span>}
    </button>
  );
}

// Kept to be looked up: alarms held back behind another one, and what was found in late data.
function Aside({ id }: { id: string }) {
  const asked = useAsked(`aside ${id}`, () => getAlarms(id, ["inhibited", "retrospective"], 20), REFRESH_MS);
  if (asked.trouble === null && (asked.data === null || asked.data.length === 0)) return null;
  return (
    <section class="aside" aria-label={w.patient.aside} data-testid="aside">
      <Panel asked={asked} thing={w.things.aside}>
        {(kept) =>
          kept.map((alarm) => (
            <p key={alarm.id} class="why" data-state={alarm.state} data-condition={alarm.condition}>
              {alarm.state === "inhibited" ? w.patient.heldBack({ alarm: alarm.text }) : alarm.text}{" "}
              <time dateTime={alarm.onset} title={utc(Date.parse(alarm.onset))}>
                {stamp(Date.parse(alarm.onset))}
              </time>
            </p>
          ))
        }
      </Panel>
    </section>
  );
}
