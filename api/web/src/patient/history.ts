// What the patient view asks the server for: courses, scores and alarms of a stretch of time, again and again while it is open.

import { useEffect, useState } from "preact/hooks";
import { getAlarms, getScores, getSeries } from "../api";
import { nowMs } from "../store";
import type { Alarm, Score, Series } from "../types";
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
}

export interface Asked {
  history: History | null;
  error: string | null; // what is shown then is the answer before
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
        const [series, scores, alarms] = await Promise.all([
          getSeries(patient, SHOWN, from, to, POINTS),
          model === null ? Promise.resolve([]) : getScores(patient, from, to, model),
          getAlarms(patient, [], 200),
        ]);
        if (!gone) setAsked({ history: { key, from, to, series, scores, alarms }, error: null });
      } catch (error) {
        if (!gone)
          setAsked((before) => ({
            ...before,
            error: error instanceof Error ? error.message : "unknown reason",
          }));
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
