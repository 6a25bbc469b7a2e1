// Why there is this alarm: its facts, the patient's own baseline, the stretch of time it was found in, and what all that rests on.

import { useMemo } from "preact/hooks";
import { getSeries } from "../api";
import { percent } from "../numbers";
import { Panel, useAsked } from "../panel";
import { Chart } from "../patient/Chart";
import { metricInfo, parts } from "../patient/Models";
import { own } from "../patient/own";
import { column, gapS, valueRange } from "../patient/trends";
import { beds, metrics, nowMs } from "../store";
import { moment, utc } from "../times";
import type { Alarm, Series } from "../types";
import { unitText } from "../wall/units";
import { w } from "../words";

const BEFORE_MS = 10 * 60_000;
const LONGEST_MS = 2 * 3_600_000;
const REFRESH_MS = 10_000;
const TOP = 4;

export function Why({ alarm }: { alarm: Alarm }) {
  const bed = alarm.subject === "group" ? undefined : beds.value.get(alarm.patient);
  const risk = bed?.risk.value ?? null;
  const found = risk === null ? [] : parts(risk, metricInfo).slice(0, TOP);
  return (
    <div class="because" data-testid="because">
      <ul class="reasons">
        {alarm.reasons.map((r) => (
          <li key={r.text}>
            {r.text}
            {r.since !== null && r.since !== undefined && (
              <time class="fine" dateTime={r.since} title={utc(Date.parse(r.since))}>
                {` ${w.why.since({ at: moment(Date.parse(r.since), nowMs.value) })}`}
              </time>
            )}
          </li>
        ))}
      </ul>
      {alarm.metric !== null && bed !== undefined && <Window alarm={alarm} metric={alarm.metric} />}
      {risk !== null && found.length > 0 && (
        <div class="shares" data-testid="shares">
          <p class="fine">
            {w.why.unusual({ model: risk.model.replaceAll("_", " "), version: risk.version })}
          </p>
          {found.map((p) => (
            <div class="share" key={p.metric}>
              <span>{p.label}</span>
              <meter min="0" max="1" value={p.share} aria-label={w.why.shareOf({ metric: p.label })} />
              <span>{p.off === null ? percent(p.share) : w.why.offUsual({ off: p.off })}</span>
            </div>
          ))}
        </div>
      )}
      <p class="fine">
        {w.why.rule({ rule: alarm.condition, version: alarm.rule_version, device: alarm.device })}
      </p>
    </div>
  );
}

function Window({ alarm, metric }: { alarm: Alarm; metric: string }) {
  const asked = useAsked(
    `window ${alarm.patient} ${alarm.onset} ${metric}`,
    () => stretch(alarm, metric),
    REFRESH_MS,
  );
  return (
    <Panel
      asked={asked}
      thing={w.things.values}
      empty={(found) => (found.series.points.length === 0 ? w.why.noValues : null)}
    >
      {(found) => <Plotted alarm={alarm} metric={metric} found={found} />}
    </Panel>
  );
}

interface Stretch {
  series: Series;
  range: readonly [number, number];
}

async function stretch(alarm: Alarm, metric: string): Promise<Stretch> {
  const to = nowMs.peek();
  const from = Math.max(Date.parse(alarm.onset) - BEFORE_MS, to - LONGEST_MS);
  const [first] = await getSeries(alarm.patient, [metric], from, to, 400);
  return { series: first ?? { metric, unit: "", points: [] }, range: [from, to] };
}

function Plotted({ alarm, metric, found }: { alarm: Alarm; metric: string; found: Stretch }) {
  const { series, range } = found;
  const info = metrics.value.get(metric);
  const limits = own.of(alarm.patient, metric, metrics.value);
  const drawn = useMemo(() => {
    const c = column(series, gapS(range[1] - range[0], info?.cadence_s ?? 1));
    return { columns: [c], values: valueRange(c, limits, 3) };
  }, [series, range, info, limits]);
  const marks = useMemo(() => [alarm], [alarm]);
  const lines = useMemo(() => [{ color: `--m-${metric}`, band: false }], [metric]);
  return (
    <>
      <Chart
        name={metric}
        label={info?.label ?? metric}
        unit={unitText(series.unit)}
        columns={drawn.columns}
        lines={lines}
        decimals={info?.decimals ?? 0}
        limits={limits}
        range={range}
        values={drawn.values}
        marks={marks}
        height={120}
        labelled={true}
        sync={null}
        onZoom={() => undefined}
      />
      <p class="fine" data-testid="quality">
        {quality(series)}
      </p>
    </>
  );
}

// How much of what was measured can be used.
export function quality(series: Series): string {
  const count = series.points.length;
  const shares = w.why.qualities.flatMap((quality, q) => {
    const found = series.points.filter((p) => p.q === q).length;
    return q > 0 && found === 0 ? [] : [w.why.share({ percent: Math.round((found / count) * 100), quality })];
  });
  return w.why.data({ shares });
}
