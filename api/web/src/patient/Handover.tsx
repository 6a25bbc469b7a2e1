// What the next shift must know about one patient, on one printed page. Made from what is on the screen at this moment.

import { useState } from "preact/hooks";
import { getAlarms, getObservations, getSeries } from "../api";
import { Panel, useAsked } from "../panel";
import { age } from "../stale";
import { type Bed, me, metrics, notice, nowMs } from "../store";
import { moment, stamp, utc } from "../times";
import type { Alarm, Observation, Series } from "../types";
import { unitText } from "../wall/units";
import { SHOWN } from "./history";
import { metricInfo, parts } from "./Models";
import { assess } from "./News2Table";
import { words as observedWords } from "./observed";
import { own } from "./own";
import { digest } from "./trends";

const SHIFT_MS = 12 * 3_600_000;
const MOST_ALARMS = 12;

const MOST_OBSERVED = 5;

interface Read {
  atMs: number;
  series: Series[];
  alarms: Alarm[];
  observations: Observation[];
}

async function lastShift(id: string): Promise<Read> {
  const atMs = nowMs.peek();
  const from = atMs - SHIFT_MS;
  const [series, alarms, observations] = await Promise.all([
    getSeries(id, SHOWN, from, atMs, 720),
    getAlarms(id, [], 100),
    getObservations(id, from, atMs),
  ]);
  return { atMs, series, alarms: alarms.filter((a) => Date.parse(a.onset) >= from), observations };
}

export function Handover({ bed, onClose }: { bed: Bed; onClose: () => void }) {
  const [words, setWords] = useState("");
  const asked = useAsked(`handover ${bed.id}`, () => lastShift(bed.id), 0);
  return (
    <section class="handover" aria-label="Handover" data-testid="handover">
      <div class="row tools no-print">
        <strong>Handover, one page</strong>
        <label class="field grow">
          For the next shift
          <input
            maxLength={300}
            value={words}
            placeholder="What to watch, what is planned (printed, not stored)"
            onInput={(event) => setWords(event.currentTarget.value)}
          />
        </label>
        <button
          type="button"
          class="main"
          disabled={asked.data === null}
          onClick={() => window.print()}
          data-testid="print"
        >
          Print
        </button>
        <button type="button" onClick={onClose}>
          Back
        </button>
      </div>
      <Panel asked={asked} what="the last twelve hours">
        {(read) => <Sheet bed={bed} read={read} words={words} />}
      </Panel>
    </section>
  );
}

function Sheet({ bed, read, words }: { bed: Bed; read: Read; words: string }) {
  const who = bed.who.value;
  const now = read.atMs;
  const score = assess(bed, now);
  const risk = bed.risk.value;
  const unusual = risk === null ? [] : parts(risk, metricInfo).slice(0, 3);
  const shown = read.series.filter((s) => s.points.some((p) => p.v !== null));
  return (
    <div class="sheet" data-testid="sheet">
      <h2>
        {who.bed ?? "–"} {who.name ?? who.id}
      </h2>
      <p>
        {[who.age === null ? null : `${who.age} years`, who.sex, who.unit]
          .filter((x) => x !== null)
          .join(" · ")}{" "}
        · <time title={utc(now)}>{stamp(now)}</time> · by {me.value}
      </p>
      {words !== "" && <p class="said-words">{words}</p>}
      <h3>
        Now, and in the last 12 hours · NEWS2{" "}
        {score.known === 0 ? "–" : `${score.known === score.parts.length ? "" : "≥ "}${score.total}`} (
        {score.known} of {score.parts.length} parts known)
      </h3>
      <table>
        <thead>
          <tr>
            <th scope="col">Value</th>
            <th scope="col">Now</th>
            <th scope="col">Age</th>
            <th scope="col">Lowest</th>
            <th scope="col">Highest</th>
            <th scope="col">Limits</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((s) => {
            const info = metrics.value.get(s.metric);
            const latest = bed.value(s.metric).value;
            const ageS = latest === undefined ? null : Math.max(0, Math.floor((now - latest.timeMs) / 1000));
            const current = ageS !== null && ageS <= (info?.expiry_s ?? 15) && latest?.value !== null;
            const d = digest(s);
            const limits = own.of(bed.id, s.metric, metrics.value);
            const text = (v: number | null) => (v === null ? "–" : v.toFixed(info?.decimals ?? 0));
            return (
              <tr key={s.metric}>
                <th scope="row">
                  {info?.label ?? s.metric} <span class="unit">{unitText(s.unit)}</span>
                </th>
                <td>{current ? text(latest?.value ?? null) : "–"}</td>
                <td>{ageS === null ? "–" : age(ageS)}</td>
                <td>{text(d.low)}</td>
                <td>{text(d.high)}</td>
                <td>
                  {text(limits?.low ?? null)} to {text(limits?.high ?? null)}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {unusual.length > 0 && risk !== null && (
        <p>
          Unusual for this patient: {unusual.map((p) => `${p.label} ${p.off ?? ""}`.trim()).join(", ")} (
          {risk.model.replaceAll("_", " ")} v{risk.version}, score {risk.score?.toFixed(1) ?? "–"})
        </p>
      )}
      {read.observations.length > 0 && (
        <>
          <h3>Observed by hand</h3>
          <ul class="observed">
            {read.observations.slice(0, MOST_OBSERVED).map((o) => (
              <li key={o.id}>
                {moment(Date.parse(o.taken), now)} {observedWords(o, metrics.value)}
                {o.note !== null && <q>{o.note}</q>} <small>by {o.author}</small>
              </li>
            ))}
          </ul>
        </>
      )}
      <h3>
        Alarms of the last 12 hours: {read.alarms.length}
        {read.alarms.length > MOST_ALARMS && `, the newest ${MOST_ALARMS} of them`}
      </h3>
      {read.alarms.length === 0 ? (
        <p>None.</p>
      ) : (
        <table>
          <tbody>
            {read.alarms.slice(0, MOST_ALARMS).map((a) => (
              <tr key={a.id}>
                <td>{moment(Date.parse(a.onset), now)}</td>
                <th scope="row">{a.text}</th>
                <td>{a.state}</td>
                <td>
                  {a.acknowledged_by === null ? "" : `seen by ${a.acknowledged_by}`}
                  {a.assigned_to === null ? "" : `, with ${a.assigned_to}`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <p class="fine">{notice.value || "Not a certified alarm system. Confirm at the bedside."}</p>
    </div>
  );
}
