// What the next shift must know about one patient, on one printed page. Made from what is on the screen at this moment.

import { useState } from "preact/hooks";
import { getAlarms, getObservations, getSeries } from "../api";
import { fixed } from "../numbers";
import { Panel, useAsked } from "../panel";
import { age } from "../stale";
import { type Bed, me, metrics, notice, nowMs } from "../store";
import { moment, stamp, utc } from "../times";
import type { Alarm, Observation, Series } from "../types";
import { unitText } from "../wall/units";
import { named, w } from "../words";
import { SHOWN } from "./history";
import { metricInfo, parts } from "./Models";
import { assess, totalText } from "./News2Table";
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
    <section class="handover" aria-label={w.handover.region} data-testid="handover">
      <div class="row tools no-print">
        <strong>{w.handover.title}</strong>
        <label class="field grow">
          {w.handover.words}
          <input
            maxLength={300}
            value={words}
            placeholder={w.handover.wordsHint}
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
          {w.handover.print}
        </button>
        <button type="button" onClick={onClose}>
          {w.common.back}
        </button>
      </div>
      <Panel asked={asked} thing={w.things.shift}>
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
        {[
          who.age === null ? null : w.handover.years({ age: who.age }),
          who.sex === null ? null : named(w.common.sexes, who.sex),
          who.unit,
        ]
          .filter((x) => x !== null)
          .join(" · ")}
        {" · "}
        <time title={utc(now)}>{stamp(now)}</time>
        {" · "}
        {w.handover.by({ me: me.value })}
      </p>
      {words !== "" && <p class="said-words">{words}</p>}
      <h3>{w.handover.now({ total: totalText(score), known: score.known, of: score.parts.length })}</h3>
      <table>
        <thead>
          <tr>
            <th scope="col">{w.handover.columns.value}</th>
            <th scope="col">{w.handover.columns.now}</th>
            <th scope="col">{w.handover.columns.age}</th>
            <th scope="col">{w.handover.columns.lowest}</th>
            <th scope="col">{w.handover.columns.highest}</th>
            <th scope="col">{w.handover.columns.limits}</th>
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
            const text = (v: number | null) => (v === null ? "–" : fixed(v, info?.decimals ?? 0));
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
                  {w.handover.limits({ low: text(limits?.low ?? null), high: text(limits?.high ?? null) })}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {unusual.length > 0 && risk !== null && (
        <p>
          {w.handover.unusual({
            parts: unusual.map((p) => `${p.label} ${p.off ?? ""}`.trim()),
            model: risk.model.replaceAll("_", " "),
            version: risk.version,
            score: risk.score === null ? "–" : fixed(risk.score, 1),
          })}
        </p>
      )}
      {read.observations.length > 0 && (
        <>
          <h3>{w.observe.title}</h3>
          <ul class="observed">
            {read.observations.slice(0, MOST_OBSERVED).map((o) => (
              <li key={o.id}>
                {moment(Date.parse(o.taken), now)} {observedWords(o, metrics.value)}
                {o.note !== null && <q>{o.note}</q>} <small>{w.observe.by({ author: o.author })}</small>
              </li>
            ))}
          </ul>
        </>
      )}
      <h3>
        {w.handover.alarms({
          n: read.alarms.length,
          newest: read.alarms.length > MOST_ALARMS ? MOST_ALARMS : null,
        })}
      </h3>
      {read.alarms.length === 0 ? (
        <p>{w.common.none}</p>
      ) : (
        <table>
          <tbody>
            {read.alarms.slice(0, MOST_ALARMS).map((a) => (
              <tr key={a.id}>
                <td>{moment(Date.parse(a.onset), now)}</td>
                <th scope="row">{a.text}</th>
                <td>{named(w.common.states, a.state)}</td>
                <td>{w.handover.hands({ seen: a.acknowledged_by, held: a.assigned_to })}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <p class="fine">{notice.value || w.common.notCertifiedShort}</p>
    </div>
  );
}
