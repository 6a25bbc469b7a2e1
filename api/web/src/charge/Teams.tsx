// The care teams of whoever is logged in: whose patients, who is in them now, until when, and how much each has in hand.

import { getTeams } from "../api";
import { carers } from "../carers";
import { Panel, useAsked } from "../panel";
import { Scrolls } from "../Scrolls";
import { alarmList, nowMs } from "../store";
import { moment, utc } from "../times";
import type { CareTeam } from "../types";
import { loads } from "./census";

const REFRESH_MS = 30_000;

export function Teams() {
  const asked = useAsked("teams", getTeams, REFRESH_MS);
  return (
    <section class="panel wide" aria-labelledby="teams-title" data-testid="teams">
      <h2 id="teams-title">
        Care teams <small>who is on now</small>
      </h2>
      <Panel
        asked={asked}
        what="the care teams"
        empty={(found) =>
          found.length === 0 ? "Nobody has to log in here, so there are no care teams." : null
        }
      >
        {(found) => found.map((team) => <Team key={team.name} team={team} />)}
      </Panel>
    </section>
  );
}

function Team({ team }: { team: CareTeam }) {
  const held = new Map(loads(alarmList.value, carers.value.values(), nowMs.value).map((l) => [l.name, l]));
  return (
    <Scrolls label={`Care team ${team.name}`}>
      <table class="figures" data-team={team.name}>
        <caption>
          {team.name}: {covers(team)}
        </caption>
        <thead>
          <tr>
            <th scope="col">Who</th>
            <th scope="col">Role</th>
            <th scope="col">Until</th>
            <th scope="col">Patients</th>
            <th scope="col">Open alarms</th>
            <th scope="col">Waiting</th>
          </tr>
        </thead>
        <tbody>
          {team.members.map((m) => (
            <tr key={m.name} data-testid="member" data-name={m.name}>
              <th scope="row">
                {m.full_name ?? m.name} {m.full_name !== null && <small class="fine">{m.name}</small>}
              </th>
              <td>{m.role}</td>
              <td>
                {m.until === null ? (
                  "further notice"
                ) : (
                  <time dateTime={m.until} title={utc(Date.parse(m.until))}>
                    {moment(Date.parse(m.until), nowMs.value)}
                  </time>
                )}
              </td>
              <td>{held.get(m.name)?.patients ?? 0}</td>
              <td>{held.get(m.name)?.open ?? 0}</td>
              <td>{held.get(m.name)?.waiting ?? 0}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolls>
  );
}

export function covers(team: CareTeam): string {
  if (team.everybody) return "every patient";
  const named =
    team.patients === 0 ? [] : [`${team.patients} ${team.patients === 1 ? "patient" : "patients"} by name`];
  return [...team.units, ...named].join(", ") || "nobody yet";
}
