// The ward wall: beds by risk, held still under the pointer, as dense as the screen needs.

import { useEffect, useRef, useState } from "preact/hooks";
import { arrange, beds, feed, mode, pointed } from "../store";
import { Tile } from "./Tile";
import {
  type Chosen,
  type Density,
  density,
  enterKiosk,
  figures,
  fitting,
  hiddenCalling,
  kiosk,
  showAll,
  unit,
  units,
  visible,
  type Which,
  which,
} from "./view";

export function Wall() {
  const element = useRef<HTMLElement>(null);
  const [size, setSize] = useState<Density>("m");
  const ids = visible.value;
  const count = ids.length;
  const chosen = density.value;
  useEffect(() => {
    const wall = element.current;
    if (wall === null) return;
    const measure = () => {
      const width = wall.clientWidth;
      const height = Math.min(wall.clientHeight, innerHeight); // on a phone the wall is as high as its beds
      const next = chosen === "auto" ? fitting(width, height, count) : chosen;
      const { big, small } = figures(width, height, count, next);
      setSize(next);
      wall.style.setProperty("--big", `${big}px`);
      wall.style.setProperty("--small", `${small}px`);
    };
    const observer = new ResizeObserver(measure);
    observer.observe(wall);
    measure();
    return () => observer.disconnect();
  }, [count, chosen]);
  const point = () => pointed(performance.now());
  return (
    <main
      ref={element}
      class="wall"
      aria-label="Ward"
      data-testid="wall"
      data-density={size}
      data-chosen={chosen}
      data-feed={feed.value}
      onPointerMove={point}
      onPointerDown={point}
      onFocusCapture={point}
    >
      {hiddenCalling.value > 0 && (
        <button type="button" class="hidden-calling" onClick={showAll} data-testid="hidden-calling">
          {hiddenCalling.value} {hiddenCalling.value === 1 ? "bed" : "beds"} with alarms not shown: show all
        </button>
      )}
      {count === 0 && <p class="empty-ward">{nobody()}</p>}
      <div class="grid">
        {ids.map((id) => {
          const bed = beds.value.get(id);
          return bed === undefined ? null : <Tile key={id} bed={bed} />;
        })}
      </div>
    </main>
  );
}

function nobody(): string {
  if (feed.value === "connecting") return "Connecting to the ward…";
  if (beds.value.size > 0) return "No bed fits what is asked for.";
  return "No patients yet. Send readings to the gateway and they appear here.";
}

const DENSITIES: readonly [Chosen, string][] = [
  ["auto", "Auto"],
  ["s", "S"],
  ["m", "M"],
  ["l", "L"],
];
const WHICH: readonly [Which, string][] = [
  ["all", "All beds"],
  ["alarms", "With alarms"],
  ["mine", "Mine"],
];

export function WallTools() {
  const order = (next: "risk" | "bed") => () => {
    mode.value = next;
    arrange(performance.now(), true);
  };
  return (
    <>
      <fieldset class="switch" aria-label="Order of beds">
        <button
          type="button"
          aria-pressed={mode.value === "risk"}
          onClick={order("risk")}
          data-testid="order-risk"
        >
          By risk
        </button>
        <button
          type="button"
          aria-pressed={mode.value === "bed"}
          onClick={order("bed")}
          data-testid="order-bed"
        >
          By bed
        </button>
      </fieldset>
      <fieldset class="switch" aria-label="Which beds">
        {WHICH.map(([name, text]) => (
          <button
            key={name}
            type="button"
            aria-pressed={which.value === name}
            onClick={() => (which.value = name)}
            data-testid={`which-${name}`}
          >
            {text}
          </button>
        ))}
      </fieldset>
      {units.value.length > 1 && (
        <select
          aria-label="Unit"
          value={unit.value}
          data-testid="unit"
          onChange={(event) => (unit.value = event.currentTarget.value)}
        >
          <option value="">All units</option>
          {units.value.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      )}
      <fieldset class="switch sizes" aria-label="Size of tiles">
        {DENSITIES.map(([name, text]) => (
          <button
            key={name}
            type="button"
            aria-pressed={density.value === name}
            onClick={() => (density.value = name)}
            data-testid={`density-${name}`}
          >
            {text}
          </button>
        ))}
      </fieldset>
      {!kiosk.value && (
        <button type="button" class="small" onClick={enterKiosk} data-testid="kiosk">
          Kiosk
        </button>
      )}
    </>
  );
}
