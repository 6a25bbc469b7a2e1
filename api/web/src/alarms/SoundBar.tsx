// Whether alarms can be heard on this screen, and how loud. Off, paused and on are three different things, and always visible.

import { useState } from "preact/hooks";
import { nowMs } from "../store";
import { left } from "../times";
import type { Priority } from "../types";
import { w } from "../words";
import { disable, enable, heard, PAUSE_MS, pausedUntilMs, play, soundOn, volumes } from "./sound";

const PRIORITIES: readonly Priority[] = ["high", "medium", "low"];

export function SoundBar() {
  const [open, setOpen] = useState(false);
  void nowMs.value; // a pause counts down
  const paused = pausedUntilMs.value - performance.now();
  const state = !soundOn.value ? "off" : paused > 0 ? "paused" : "on";
  return (
    <div class={`sound ${state}`} data-testid="sound" data-sound={state} data-heard={heard.value}>
      <div class="row">
        <SoundIcon state={state} />
        {state === "off" && (
          <button type="button" onClick={enable} data-testid="sound-enable">
            {w.sound.enable}
          </button>
        )}
        {state === "on" && (
          <button
            type="button"
            onClick={() => (pausedUntilMs.value = performance.now() + PAUSE_MS)}
            data-testid="sound-pause"
          >
            {w.sound.pause}
          </button>
        )}
        {state === "paused" && (
          <button type="button" onClick={() => (pausedUntilMs.value = 0)} data-testid="sound-resume">
            {w.sound.resume({ left: left(paused) })}
          </button>
        )}
        <button
          type="button"
          class="quiet-button"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
          data-testid="sound-volumes"
        >
          {w.sound.volume}
        </button>
      </div>
      {open && (
        <div class="volumes">
          {PRIORITIES.map((priority) => (
            <label key={priority} class="field">
              {w.common.priorities[priority]}
              <input
                type="range"
                min="0"
                max="1"
                step="0.1"
                value={volumes.value[priority]}
                onInput={(event) =>
                  (volumes.value = { ...volumes.value, [priority]: Number(event.currentTarget.value) })
                }
              />
              <button type="button" onClick={() => play(priority)} data-testid={`sound-test-${priority}`}>
                {w.sound.test}
              </button>
            </label>
          ))}
          {soundOn.value && (
            <button type="button" onClick={disable} data-testid="sound-off">
              {w.sound.off}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function SoundIcon({ state }: { state: "on" | "off" | "paused" }) {
  return (
    <svg viewBox="0 0 20 16" class="sound-icon" role="img" aria-label={w.sound.states[state]}>
      <path d="M1 6h3l4-4v12L4 10H1Z" fill="currentColor" />
      {state === "on" && (
        <path
          d="M11 5a4 4 0 0 1 0 6M13.5 2.5a8 8 0 0 1 0 11"
          fill="none"
          stroke="currentColor"
          stroke-width="1.8"
        />
      )}
      {state === "off" && <path d="m11 5 6 6m0-6-6 6" stroke="currentColor" stroke-width="2" />}
      {state === "paused" && <path d="M12 4v8M16 4v8" stroke="currentColor" stroke-width="2.4" />}
    </svg>
  );
}
