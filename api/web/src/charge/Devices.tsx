// The devices, silent ones first. Battery, link quality and clock are not shown: no device of this system reports them yet.

import { getDevices } from "../api";
import { Panel, useAsked } from "../panel";
import { age } from "../stale";
import { beds, nowMs, openPatient } from "../store";
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
                  <th scope="col">Newest value of the patient</th>
                </tr>
              </thead>
              <tbody>
                {[...found].sort(bySilence).map((d) => (
                  <Row key={`${d.patient} ${d.device}`} device={d} />
                ))}
              </tbody>
            </table>
          </section>
        )}
      </Panel>
      <p class="fine">Battery, signal strength and clock are not reported by any device yet.</p>
    </section>
  );
}

function summary(found: readonly DeviceRow[]): string {
  const silent = found.filter((d) => d.silent_since !== null).length;
  return `${found.length}, ${silent === 0 ? "none" : silent} silent`;
}

function bySilence(a: DeviceRow, b: DeviceRow): number {
  return (
    Number(b.silent_since !== null) - Number(a.silent_since !== null) ||
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
