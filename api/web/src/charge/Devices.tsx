// The devices, silent ones first, then those whose batteries are low.

import { getDevices } from "../api";
import { Panel, useAsked } from "../panel";
import { age, shown } from "../stale";
import { beds, metrics, nowMs, openPatient } from "../store";
import { moment, utc } from "../times";
import type { DeviceRow } from "../types";

const REFRESH_MS = 10_000;

export function Devices() {
  const asked = useAsked("devices", getDevices, REFRESH_MS);
  return (
    <section class="panel wide" aria-labelledby="devices-title" data-testid="devices">
      <h2 id="devices-title">Devices {asked.data !== null && <small>{summary(asked.data)}</small>}</h2>
      <Panel
        asked={asked}
        what="the devices"
        empty={(found) => (found.length === 0 ? "No device has sent anything yet." : null)}
      >
        {(found) => (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
          <section class="table-box" tabIndex={0} aria-label="Devices">
            <table class="figures">
              <thead>
                <tr>
                  <th scope="col">Bed</th>
                  <th scope="col">Patient</th>
                  <th scope="col">Device</th>
                  <th scope="col">Link</th>
                  <th scope="col">Battery</th>
                  <th scope="col">Newest value of the patient</th>
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
      <p class="fine">
        No device reports the strength of its signal yet. A clock that runs ahead is an alarm.
      </p>
    </section>
  );
}

export function summary(found: readonly DeviceRow[]): string {
  const silent = found.filter((d) => d.silent_since !== null).length;
  const low = found.filter((d) => d.battery_low_since !== null).length;
  return `${found.length}, ${silent === 0 ? "none" : silent} silent${low === 0 ? "" : `, ${low} with a low battery`}`;
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
          "heard"
        ) : (
          <span class="pill technical">
            silent since {moment(Date.parse(device.silent_since), nowMs.value)}
          </span>
        )}
      </td>
      <td data-testid="battery">
        <Charge device={device} />
      </td>
      <td>
        {newestMs === null ? (
          "none yet"
        ) : (
          <time dateTime={device.last_value ?? ""} title={utc(newestMs)}>
            {age(Math.max(0, Math.floor((nowMs.value - newestMs) / 1000)))} ago
          </time>
        )}
      </td>
    </tr>
  );
}

// A level that has expired is told as what it was, never as what it is.
function Charge({ device }: { device: DeviceRow }) {
  const { battery, battery_low_since } = device;
  if (battery === null) return "not told";
  const timeMs = Date.parse(battery.time);
  const expiryS = metrics.value.get("battery")?.expiry_s ?? 0;
  const level = shown({ value: battery.percent, timeMs, quality: "good" }, nowMs.value, expiryS, 0);
  const ago = (
    <time dateTime={battery.time} title={utc(timeMs)}>
      {age(level.kind === "none" ? 0 : level.ageS)} ago
    </time>
  );
  if (level.kind !== "value")
    return (
      <span class="fine">
        unknown, was {battery.percent.toFixed(0)} % {ago}
      </span>
    );
  return (
    <>
      <span class={battery_low_since !== null ? "pill technical" : ""}>{level.text} %</span> {ago}
    </>
  );
}
