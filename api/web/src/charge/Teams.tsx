// The care teams of whoever is logged in: whose patients, who is in them now, until when, and how much each has in hand.

import { getTeams } from "../api";
import { carers } from "../carers";
import { Panel, useAsked } from "../panel";
import { Scrolls } from "../Scrolls";
import { alarmList, nowMs } from "../store";
import { moment, utc } from "../times";
import type { CareTeam } from "../types";
import { named, w } from "../words";
import { loads } from "./census";

const REFRESH_MS = 30_000;

export function Teams() {
  const asked = useAsked("teams", getTeams, REFRESH_MS);
  return (
    <section class="panel wide" aria-labelledby="teams-title" data-testid="teams">
      <h2 id="teams-title">
        {w.teams.title} <small>{w.teams.onNow}</small>
      </h2>
      <Panel
        asked={asked}
        thing={w.things.teams}
        empty={(found) => (found.length === 0 ? w.teams.none : null)}
      >
        {(found) => found.map((team) => <Team key={team.name} team={team} />)}
      </Panel>
    </section>
  );
}

function Team({ team }: { team: CareTeam }) {
  const held = new Map(loads(alarmList.value, carers.value.values(), nowMs.value).map((l) => [l.name, l]));
  return (
    <Scrolls label={w.teams.table({ team: team.name })}>
      <table class="figures" data-team={team.name}>
        <caption>{w.teams.caption({ team: team.name, covers: covers(team) })}</caption>
        <thead>
          <tr>
            <th scope="col">{w.teams.columns.who}</th>
            <th scope="col">{w.teams.columns.role}</th>
            <th scope="col">{w.teams.columns.until}</th>
            <th scope="col">{w.teams.columns.patients}</th>
            <th scope="col">{w.teams.columns.open}</th>
            <th scope="col">{w.teams.columns.waiting}</th>
          </tr>
        </thead>
        <tbody>
          {team.members.map((m) => (
            <tr key={m.name} data-testid="member" data-name={m.name}>
              <th scope="row">
                {m.full_name ?? m.name} {m.full_name !== null && <small class="fine">{m.name}</small>}
              </th>
              <td>{named(w.common.roles, m.role)}</td>
              <td>
                {m.until === null ? (
                  w.teams.furtherNotice
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
  if (team.everybody) return w.teams.everyPatient;
  return w.teams.covers({ units: team.units, named: team.patients }) || w.teams.nobodyYet;
}
