// The ward wall: beds by risk, held still under the pointer, as dense as the screen needs.

import { useEffect, useRef, useState } from "preact/hooks";
import { arrange, beds, feed, mode, pointed } from "../store";
import { w } from "../words";
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
      aria-label={w.wall.title}
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
          {w.wall.hidden({ beds: hiddenCalling.value })}
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
  if (feed.value === "connecting") return w.common.connecting;
  if (beds.value.size > 0) return w.wall.noneFits;
  return w.wall.noPatients;
}

const DENSITIES: readonly Chosen[] = ["auto", "s", "m", "l"];
const WHICH: readonly Which[] = ["all", "alarms", "mine"];

export function WallTools() {
  const order = (next: "risk" | "bed") => () => {
    mode.value = next;
    arrange(performance.now(), true);
  };
  return (
    <>
      <fieldset class="switch" aria-label={w.wall.order}>
        <button
          type="button"
          aria-pressed={mode.value === "risk"}
          onClick={order("risk")}
          data-testid="order-risk"
        >
          {w.wall.byRisk}
        </button>
        <button
          type="button"
          aria-pressed={mode.value === "bed"}
          onClick={order("bed")}
          data-testid="order-bed"
        >
          {w.wall.byBed}
        </button>
      </fieldset>
      <fieldset class="switch" aria-label={w.wall.which}>
        {WHICH.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={which.value === name}
            onClick={() => (which.value = name)}
            data-testid={`which-${name}`}
          >
            {w.wall.whichBeds[name]}
          </button>
        ))}
      </fieldset>
      {units.value.length > 1 && (
        <select
          aria-label={w.wall.unit}
          value={unit.value}
          data-testid="unit"
          onChange={(event) => (unit.value = event.currentTarget.value)}
        >
          <option value="">{w.wall.allUnits}</option>
          {units.value.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      )}
      <fieldset class="switch sizes" aria-label={w.wall.sizes}>
        {DENSITIES.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={density.value === name}
            onClick={() => (density.value = name)}
            data-testid={`density-${name}`}
          >
            {w.wall.size[name]}
          </button>
        ))}
      </fieldset>
      {!kiosk.value && (
        <button type="button" class="small" onClick={enterKiosk} data-testid="kiosk">
          {w.wall.kiosk}
        </button>
      )}
    </>
  );
}
