// What the patient view asks the server for: courses, scores and alarms of a stretch of time, again and again while it is open.

import { useEffect, useState } from "preact/hooks";
import { getAlarms, getObservations, getScores, getSeries } from "../api";
import { type Trouble, troubleOf } from "../panel";
import { nowMs } from "../store";
import type { Alarm, Observation, Score, Series } from "../types";
import { POINTS, SPANS, type Span } from "./trends";

export const SHOWN = [
  "heart_rate",
  "pulse_rate",
  "spo2",
  "respiratory_rate",
  "systolic_bp",
  "diastolic_bp",
  "temperature",
] as const;

export interface History {
  key: string; // what was asked for
  from: number; // ms
  to: number;
  series: Series[];
  scores: Score[];
  alarms: Alarm[];
  observations: Observation[];
}

export interface Asked {
  history: History | null;
  error: Trouble | null; // what is shown then is the answer before
}

export function keyOf(span: Span, zoom: readonly [number, number] | null): string {
  return zoom === null ? span : zoom.join(" ");
}

// `zoom`: a part of time that was chosen; it stands still, while a span follows the clock. `model`: whose scores.
export function useHistory(
  patient: string,
  span: Span,
  zoom: readonly [number, number] | null,
  model: string | null,
): Asked {
  const [asked, setAsked] = useState<Asked>({ history: null, error: null });
  const [zoomFrom, zoomTo] = zoom ?? [null, null];
  const key = keyOf(span, zoom);
  useEffect(() => {
    let gone = false;
    const load = async () => {
      const to = zoomTo ?? nowMs.peek();
      const from = zoomFrom ?? to - SPANS[span].ms;
      try {
        const [series, scores, alarms, observations] = await Promise.all([
          getSeries(patient, SHOWN, from, to, POINTS),
          model === null ? Promise.resolve([]) : getScores(patient, from, to, model),
          getAlarms(patient, [], 200),
          getObservations(patient, from, to).catch(() => []), // their own panel says that they cannot be read
        ]);
        if (!gone)
          setAsked({ history: { key, from, to, series, scores, alarms, observations }, error: null });
      } catch (reason) {
        const error = troubleOf(reason);
        // What may not be seen any more is not shown any more.
        if (!gone)
          setAsked((before) => ({ history: error.kind === "denied" ? null : before.history, error }));
      }
    };
    void load();
    const timer = zoomFrom === null ? window.setInterval(load, SPANS[span].refreshMs) : 0;
    return () => {
      gone = true;
      window.clearInterval(timer);
    };
  }, [patient, span, zoomFrom, zoomTo, key, model]);
  return asked;
}
