// A sparkline that draws itself at most once a second, and only when it can be seen.

import { useEffect, useRef } from "preact/hooks";
import { TrendIcon } from "../icons";
import { draw, trend } from "../sparkline";
import { type Bed, metrics, nowMs } from "../store";

const NONE = { low: null, high: null, critical_low: null, critical_high: null };
// Half height of the axis at least: noise of one digit must not look like a storm.
const LEAST: Record<string, number> = { heart_rate: 8, pulse_rate: 8, spo2: 3, respiratory_rate: 4 };

export function Spark({ bed, metric, fallback }: { bed: Bed; metric: string; fallback?: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const visible = useRef(true);
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return;
    const seen = new IntersectionObserver(([entry]) => {
      visible.current = entry?.isIntersecting ?? true;
    });
    seen.observe(element);
    const style = getComputedStyle(element);
    const stop = nowMs.subscribe((now) => {
      if (!visible.current || document.hidden) return;
      const name = fallback !== undefined && !bed.traces.has(metric) ? fallback : metric;
      draw(
        element,
        bed.traces.get(name) ?? [],
        metrics.peek().get(name)?.limits ?? NONE,
        LEAST[metric] ?? 5,
        now,
        {
          color: style.getPropertyValue(`--m-${metric}`),
          limit: style.getPropertyValue("--limit"),
        },
      );
    });
    return () => {
      seen.disconnect();
      stop();
    };
  }, [bed, metric, fallback]);
  return <canvas ref={canvas} class="spark" />;
}

export function Trend({ bed, metric, spread }: { bed: Bed; metric: string; spread: number }) {
  // Minutes matter here, not seconds: follow the clock in steps of ten seconds.
  void Math.floor(nowMs.value / 10_000);
  const direction = trend(bed.traces.get(metric) ?? [], spread);
  return direction === null ? null : <TrendIcon direction={direction} />;
}
