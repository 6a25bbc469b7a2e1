// The ward wall: beds by risk, held still under the pointer, as dense as the screen needs.

import { useEffect, useRef, useState } from "preact/hooks";
import { arrange, beds, connection, mode, pointed, shownOrder } from "../store";
import { Tile } from "./Tile";

type Density = "l" | "m" | "s";
const SIZES: Record<Density, [number, number]> = { l: [252, 240], m: [226, 206], s: [156, 152] };

export function density(width: number, height: number, count: number): Density {
  for (const size of ["l", "m"] as const) {
    const [w, h] = SIZES[size];
    const columns = Math.max(1, Math.floor(width / w));
    if (Math.ceil(count / columns) * h <= height) return size;
  }
  return "s";
}

export function Wall() {
  const element = useRef<HTMLElement>(null);
  const [size, setSize] = useState<Density>("m");
  const count = beds.value.size;
  useEffect(() => {
    const wall = element.current;
    if (wall === null) return;
    const measure = () => setSize(density(wall.clientWidth, wall.clientHeight, count));
    const observer = new ResizeObserver(measure);
    observer.observe(wall);
    measure();
    return () => observer.disconnect();
  }, [count]);
  const link = connection.value.link;
  const ids = shownOrder.value;
  return (
    <main
      ref={element}
      class="wall"
      data-testid="wall"
      data-density={size}
      data-feed={link}
      onPointerMove={() => pointed(performance.now())}
      onFocusCapture={() => pointed(performance.now())}
    >
      {count === 0 && (
        <p class="empty-ward">
          {link === "connecting"
            ? "Connecting to the ward…"
            : "No patients yet. Send readings to the gateway and they appear here."}
        </p>
      )}
      <div class="grid">
        {ids.map((id) => {
          const bed = beds.value.get(id);
          return bed === undefined ? null : <Tile key={id} bed={bed} />;
        })}
      </div>
    </main>
  );
}

export function OrderSwitch() {
  const change = (next: "risk" | "bed") => () => {
    mode.value = next;
    arrange(performance.now(), true);
  };
  return (
    <fieldset class="switch" aria-label="Order of beds">
      <button
        type="button"
        aria-pressed={mode.value === "risk"}
        onClick={change("risk")}
        data-testid="order-risk"
      >
        By risk
      </button>
      <button
        type="button"
        aria-pressed={mode.value === "bed"}
        onClick={change("bed")}
        data-testid="order-bed"
      >
        By bed
      </button>
    </fieldset>
  );
}
