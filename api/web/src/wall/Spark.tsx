// A sparkline that draws itself every few seconds, and only when it can be seen: ten minutes do not move faster.

import { useEffect, useRef } from "preact/hooks";
import { TrendIcon } from "../icons";
import { own } from "../patient/own";
import { draw, trend } from "../sparkline";
import { type Bed, metrics, nowMs, tenSeconds } from "../store";
import { theme } from "../theme";
import { forget, paint } from "./paint";

const NONE = { low: null, high: null, critical_low: null, critical_high: null };
// Half height of the axis at least: noise of one digit must not look like a storm.
const LEAST: Record<string, number> = { heart_rate: 8, pulse_rate: 8, spo2: 3, respiratory_rate: 4 };
const EVERY_MS = 5_000;

export function Spark({ bed, metric, fallback }: { bed: Bed; metric: string; fallback?: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return;
    let visible = true;
    let drawnMs = Number.NEGATIVE_INFINITY;
    const size = { width: 0, height: 0 };
    const look = { color: "", limit: "" };
    const job = () => {
      const name = fallback !== undefined && !bed.traces.has(metric) ? fallback : metric;
      draw(
        element,
        size,
        bed.traces.get(name) ?? [],
        own.of(bed.id, name, metrics.peek()) ?? NONE,
        LEAST[metric] ?? 5,
        nowMs.peek(),
        look,
      );
    };
    const again = () => {
      drawnMs = performance.now();
      paint(job);
    };
    const seen = new IntersectionObserver(([entry]) => {
      visible = entry?.isIntersecting ?? true;
      if (visible) again();
    });
    const sized = new ResizeObserver(([entry]) => {
      size.width = entry?.contentRect.width ?? 0;
      size.height = entry?.contentRect.height ?? 0;
      again();
    });
    seen.observe(element);
    sized.observe(element);
    const stopTheme = theme.subscribe(() => {
      const style = getComputedStyle(element);
      look.color = style.getPropertyValue(`--m-${metric}`);
      look.limit = style.getPropertyValue("--limit");
      again();
    });
    const stopPast = bed.past.subscribe(again);
    const stop = nowMs.subscribe(() => {
      if (visible && !document.hidden && performance.now() - drawnMs >= EVERY_MS) again();
    });
    return () => {
      seen.disconnect();
      sized.disconnect();
      stopTheme();
      stopPast();
      stop();
      forget(job);
    };
  }, [bed, metric, fallback]);
  return <canvas ref={canvas} class="spark" />;
}

export function Trend({ bed, metric, spread }: { bed: Bed; metric: string; spread: number }) {
  void tenSeconds.value; // minutes matter here, not seconds
  const direction = trend(bed.traces.get(metric) ?? [], spread);
  return direction === null ? null : <TrendIcon direction={direction} />;
}
