// Who looks after whom. Whoever takes a patient has the open alarms at once, and each that begins before the end of the shift.

import { useState } from "preact/hooks";
import { may } from "../access/session";
import { waits } from "../alarms/inbox";
import { ApiError, getTeams } from "../api";
import { assignPatient, carers, carersTrouble, releasePatient } from "../carers";
import { said as troubleSaid, useAsked } from "../panel";
import { Scrolls } from "../Scrolls";
import { alarmList, type Bed, beds, feed, me, nowMs, openPatient, worst } from "../store";
import { minute, utc } from "../times";
import { holders, loads } from "./census";

const SHIFTS = [12, 8, 4] as const;
const COLLEAGUES_MS = 60_000;

export function Assignments() {
  const [all, setAll] = useState(false);
  const held = carers.value;
  const shown = [...beds.value.values()]
    .filter((bed) => all || bed.alarms.value.length > 0 || held.has(bed.id))
    .sort((a, b) => (a.who.value.bed ?? "").localeCompare(b.who.value.bed ?? "", "en", { numeric: true }));
  const people = loads(alarmList.value, held.values(), nowMs.value);
  const colleagues = useAsked("colleagues", getTeams, COLLEAGUES_MS).data ?? [];
  const names = [
    ...new Set([
      ...colleagues.flatMap((team) => team.members.map((m) => m.name)),
      ...people.map((p) => p.name).filter((n) => n !== ""),
    ]),
  ];
  return (
    <section class="panel wide" aria-labelledby="assign-title" data-testid="assignments">
      <div class="row">
        <h2 id="assign-title">
          Assignments{" "}
          <small>
            {held.size} of {beds.value.size} patients are looked after by somebody
          </small>
        </h2>
        <fieldset class="switch" aria-label="Which patients">
          {[false, true].map((every) => (
            <button
              key={String(every)}
              type="button"
              aria-pressed={all === every}
              onClick={() => setAll(every)}
              data-testid={every ? "assign-all-beds" : "assign-some-beds"}
            >
              {every ? "All beds" : "With alarms or a carer"}
            </button>
          ))}
        </fieldset>
      </div>
      {carersTrouble.value !== null && (
        <p class="error" role="alert" data-testid="panel-trouble" data-trouble={carersTrouble.value.kind}>
          {troubleSaid(carersTrouble.value, "who looks after whom")}
        </p>
      )}
      {people.length > 0 && (
        <ul class="loads" aria-label="How much each person has in hand">
          {people.map((p) => (
            <li key={p.name} class={p.name === "" ? "nobody" : ""}>
              <strong>{p.name === "" ? "Nobody" : p.name}</strong>{" "}
              {p.patients > 0 && `${p.patients} ${p.patients === 1 ? "patient" : "patients"}, `}
              {p.open} {p.open === 1 ? "alarm" : "alarms"}, {p.waiting} waiting
            </li>
          ))}
        </ul>
      )}
      {shown.length === 0 ? (
        <p class="quiet" data-testid="panel-empty">
          {feed.value === "live"
            ? "No patient has an open alarm or somebody who looks after them."
            : "Alarms are not known: not connected."}
        </p>
      ) : (
        <Scrolls label="Who looks after whom">
          <table class="figures">
            <thead>
              <tr>
                <th scope="col">Bed</th>
                <th scope="col">Patient</th>
                <th scope="col">Open</th>
                <th scope="col">Waiting</th>
                <th scope="col">Alarms with</th>
                <th scope="col">Looked after by</th>
                {may("alarm.act") && <th scope="col">Give to</th>}
              </tr>
            </thead>
            <tbody>
              {shown.map((bed) => (
                <Row key={bed.id} bed={bed} names={names} />
              ))}
            </tbody>
          </table>
        </Scrolls>
      )}
    </section>
  );
}

interface Outcome {
  words: string;
  failed: boolean;
}

function Row({ bed, names }: { bed: Bed; names: readonly string[] }) {
  const [to, setTo] = useState("");
  const [hours, setHours] = useState<number>(SHIFTS[0]);
  const [working, setWorking] = useState(false);
  const [said, setSaid] = useState<Outcome | null>(null);
  const who = bed.who.value;
  const list = bed.alarms.value;
  const waiting = list.filter((a) => waits(a, nowMs.value));
  const tone =
    worst(waiting.filter((a) => a.lane === "physiological")) ?? (waiting.length > 0 ? "technical" : "");
  const carer = carers.value.get(bed.id);
  const doing = async (act: () => Promise<string>) => {
    setWorking(true);
    try {
      setSaid({ words: await act(), failed: false });
      setTo("");
    } catch (error) {
      setSaid({ words: error instanceof ApiError ? error.message : "Not done. Try again.", failed: true });
    } finally {
      setWorking(false);
    }
  };
  const give = (name: string) =>
    doing(async () => {
      const moved = await assignPatient(bed.id, name, hours);
      return `With ${name} for ${hours} h; ${moved} open ${moved === 1 ? "alarm" : "alarms"} moved.`;
    });
  const name = who.name ?? who.id;
  return (
    <tr data-testid="assignment" data-patient={bed.id}>
      <th scope="row">{who.bed ?? "–"}</th>
      <td>
        <button type="button" class="plain-link" onClick={() => (openPatient.value = bed.id)}>
          {name}
        </button>
      </td>
      <td>{list.length}</td>
      <td>{waiting.length > 0 ? <span class={`pill ${tone}`}>{waiting.length}</span> : 0}</td>
      <td>
        {holders(list)
          .map((n) => (n === "" ? "nobody" : n))
          .join(", ")}
      </td>
      <td data-testid="carer">
        {carer === undefined ? (
          <span class="fine">nobody</span>
        ) : (
          <span class="carer">
            <strong>{carer.person}</strong>{" "}
            <time
              class="fine"
              dateTime={carer.until}
              title={`${utc(Date.parse(carer.until))}, given by ${carer.assigned_by}`}
            >
              until {minute(Date.parse(carer.until))}
            </time>
            {may("alarm.act") && (
              <button
                type="button"
                class="small"
                disabled={working}
                aria-label={`End: ${carer.person} no longer looks after ${name}`}
                onClick={() =>
                  void doing(async () => {
                    await releasePatient(bed.id);
                    return "Nobody's from now on; open alarms stay.";
                  })
                }
                data-testid="release"
              >
                End
              </button>
            )}
          </span>
        )}
      </td>
      {may("alarm.act") && (
        <td>
          <form
            class="row"
            onSubmit={(event) => {
              event.preventDefault();
              if (to.trim() !== "") void give(to.trim());
            }}
          >
            <input
              list={`to-${bed.id}`}
              maxLength={64}
              size={12}
              value={to}
              placeholder="Name"
              aria-label={`Who looks after ${name}`}
              onInput={(event) => setTo(event.currentTarget.value)}
            />
            <datalist id={`to-${bed.id}`}>
              {[...new Set([me.value, ...names])].map((n) => (
                <option key={n} value={n} />
              ))}
            </datalist>
            <select
              aria-label="For how long"
              value={hours}
              onChange={(event) => setHours(Number(event.currentTarget.value))}
            >
              {SHIFTS.map((h) => (
                <option key={h} value={h}>
                  {h} h
                </option>
              ))}
            </select>
            <button type="submit" class="small main" disabled={working || to.trim() === ""}>
              Give
            </button>
            <button
              type="button"
              class="small"
              disabled={working}
              onClick={() => void give(me.peek())}
              data-testid="assign-patient-me"
            >
              Me
            </button>
            {said !== null && (
              <span class={said.failed ? "wrong-words" : "fine"} role={said.failed ? "alert" : "status"}>
                {said.words}
              </span>
            )}
          </form>
        </td>
      )}
    </tr>
  );
}
