// The devices, silent ones first, then those whose batteries are low.

import { getDevices } from "../api";
import { Panel, useAsked } from "../panel";
import { age, shown } from "../stale";
import { beds, metrics, nowMs, openPatient } from "../store";
import { moment, utc } from "../times";
import type { DeviceRow } from "../types";
import { w } from "../words";

const REFRESH_MS = 10_000;

export function Devices() {
  const asked = useAsked("devices", getDevices, REFRESH_MS);
  return (
    <section class="panel wide" aria-labelledby="devices-title" data-testid="devices">
      <h2 id="devices-title">
        {w.devices.title} {asked.data !== null && <small>{summary(asked.data)}</small>}
      </h2>
      <Panel
        asked={asked}
        thing={w.things.devices}
        empty={(found) => (found.length === 0 ? w.devices.none : null)}
      >
        {(found) => (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
          <section class="table-box" tabIndex={0} aria-label={w.devices.title}>
            <table class="figures">
              <thead>
                <tr>
                  <th scope="col">{w.devices.columns.bed}</th>
                  <th scope="col">{w.devices.columns.patient}</th>
                  <th scope="col">{w.devices.columns.device}</th>
                  <th scope="col">{w.devices.columns.link}</th>
                  <th scope="col">{w.devices.columns.battery}</th>
                  <th scope="col">{w.devices.columns.newest}</th>
                </tr>
              </thead>
              <tbody>
                {[...found].sort(byTrouble).map((d) => (
                  <Row key={`${d.patient} ${d.device}`} device={d} />
                ))}
              </tbody>
            </table>
          </section>
        )}
      </Panel>
      <p class="fine">{w.devices.limits}</p>
    </section>
  );
}

export function summary(found: readonly DeviceRow[]): string {
  const silent = found.filter((d) => d.silent_since !== null).length;
  const low = found.filter((d) => d.battery_low_since !== null).length;
  return w.devices.summary({ all: found.length, silent, low });
}

export function byTrouble(a: DeviceRow, b: DeviceRow): number {
  return (
    Number(b.silent_since !== null) - Number(a.silent_since !== null) ||
    Number(b.battery_low_since !== null) - Number(a.battery_low_since !== null) ||
    (a.last_value ?? "").localeCompare(b.last_value ?? "")
  );
}

function Row({ device }: { device: DeviceRow }) {
  const who = beds.value.get(device.patient)?.who.value;
  const newestMs = device.last_value === null ? null : Date.parse(device.last_value);
  return (
    <tr data-testid="device" data-silent={device.silent_since !== null}>
      <th scope="row">{who?.bed ?? "–"}</th>
      <td>
        <button type="button" class="plain-link" onClick={() => (openPatient.value = device.patient)}>
          {who?.name ?? device.patient}
        </button>
      </td>
      <td>{device.device}</td>
      <td>
        {device.silent_since === null ? (
          w.devices.heard
        ) : (
          <span class="pill technical">
            {w.devices.silentSince({ time: moment(Date.parse(device.silent_since), nowMs.value) })}
          </span>
        )}
      </td>
      <td data-testid="battery">
        <Charge device={device} />
      </td>
      <td>
        {newestMs === null ? (
          w.devices.noneYet
        ) : (
          <time dateTime={device.last_value ?? ""} title={utc(newestMs)}>
            {w.time.ago({ age: age(Math.max(0, Math.floor((nowMs.value - newestMs) / 1000))) })}
          </time>
        )}
      </td>
    </tr>
  );
}

// A level that has expired is told as what it was, never as what it is.
function Charge({ device }: { device: DeviceRow }) {
  const { battery, battery_low_since } = device;
  if (battery === null) return w.devices.notTold;
  const timeMs = Date.parse(battery.time);
  const expiryS = metrics.value.get("battery")?.expiry_s ?? 0;
  const level = shown({ value: battery.percent, timeMs, quality: "good" }, nowMs.value, expiryS, 0);
  const ago = (
    <time dateTime={battery.time} title={utc(timeMs)}>
      {w.time.ago({ age: age(level.kind === "none" ? 0 : level.ageS) })}
    </time>
  );
  if (level.kind !== "value")
    return (
      <span class="fine">
        {w.devices.wasLevel({ level: w.common.percent({ n: battery.percent.toFixed(0) }) })} {ago}
      </span>
    );
  return (
    <>
      <span class={battery_low_since !== null ? "pill technical" : ""}>
        {w.common.percent({ n: level.text })}
      </span>{" "}
      {ago}
    </>
  );
}
