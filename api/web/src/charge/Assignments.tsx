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
import { collator, w } from "../words";
import { holders, loads } from "./census";

const SHIFTS = [12, 8, 4] as const;
const COLLEAGUES_MS = 60_000;

export function Assignments() {
  const [all, setAll] = useState(false);
  const held = carers.value;
  const shown = [...beds.value.values()]
    .filter((bed) => all || bed.alarms.value.length > 0 || held.has(bed.id))
    .sort((a, b) => collator.compare(a.who.value.bed ?? "", b.who.value.bed ?? ""));
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
          {w.assignments.title} <small>{w.assignments.held({ n: held.size, beds: beds.value.size })}</small>
        </h2>
        <fieldset class="switch" aria-label={w.assignments.which}>
          {[false, true].map((every) => (
            <button
              key={String(every)}
              type="button"
              aria-pressed={all === every}
              onClick={() => setAll(every)}
              data-testid={every ? "assign-all-beds" : "assign-some-beds"}
            >
              {every ? w.assignments.allBeds : w.assignments.someBeds}
            </button>
          ))}
        </fieldset>
      </div>
      {carersTrouble.value !== null && (
        <p class="error" role="alert" data-testid="panel-trouble" data-trouble={carersTrouble.value.kind}>
          {troubleSaid(carersTrouble.value, w.things.carers)}
        </p>
      )}
      {people.length > 0 && (
        <ul class="loads" aria-label={w.assignments.loads}>
          {people.map((p) => (
            <li key={p.name} class={p.name === "" ? "nobody" : ""}>
              <strong>{p.name === "" ? w.assignments.nobody : p.name}</strong> {w.assignments.load(p)}
            </li>
          ))}
        </ul>
      )}
      {shown.length === 0 ? (
        <p class="quiet" data-testid="panel-empty">
          {feed.value === "live" ? w.assignments.none : w.common.alarmsUnknown}
        </p>
      ) : (
        <Scrolls label={w.assignments.table}>
          <table class="figures">
            <thead>
              <tr>
                <th scope="col">{w.assignments.columns.bed}</th>
                <th scope="col">{w.assignments.columns.patient}</th>
                <th scope="col">{w.assignments.columns.open}</th>
                <th scope="col">{w.assignments.columns.waiting}</th>
                <th scope="col">{w.assignments.columns.holders}</th>
                <th scope="col">{w.assignments.columns.carer}</th>
                {may("alarm.act") && <th scope="col">{w.assignments.columns.give}</th>}
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
      setSaid({ words: error instanceof ApiError ? error.message : w.common.notDone, failed: true });
    } finally {
      setWorking(false);
    }
  };
  const give = (name: string) =>
    doing(async () => {
      const moved = await assignPatient(bed.id, name, hours);
      return w.assignments.given({ name, hours, moved });
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
          .map((n) => (n === "" ? w.common.nobody : n))
          .join(", ")}
      </td>
      <td data-testid="carer">
        {carer === undefined ? (
          <span class="fine">{w.common.nobody}</span>
        ) : (
          <span class="carer">
            <strong>{carer.person}</strong>{" "}
            <time
              class="fine"
              dateTime={carer.until}
              title={w.assignments.givenBy({ until: utc(Date.parse(carer.until)), by: carer.assigned_by })}
            >
              {w.assignments.until({ time: minute(Date.parse(carer.until)) })}
            </time>
            {may("alarm.act") && (
              <button
                type="button"
                class="small"
                disabled={working}
                aria-label={w.assignments.end({ person: carer.person, patient: name })}
                onClick={() =>
                  void doing(async () => {
                    await releasePatient(bed.id);
                    return w.assignments.released;
                  })
                }
                data-testid="release"
              >
                {w.common.end}
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
              placeholder={w.common.name}
              aria-label={w.assignments.who({ patient: name })}
              onInput={(event) => setTo(event.currentTarget.value)}
            />
            <datalist id={`to-${bed.id}`}>
              {[...new Set([me.value, ...names])].map((n) => (
                <option key={n} value={n} />
              ))}
            </datalist>
            <select
              aria-label={w.assignments.howLong}
              value={hours}
              onChange={(event) => setHours(Number(event.currentTarget.value))}
            >
              {SHIFTS.map((h) => (
                <option key={h} value={h}>
                  {w.time.hours({ n: h })}
                </option>
              ))}
            </select>
            <button type="submit" class="small main" disabled={working || to.trim() === ""}>
              {w.assignments.give}
            </button>
            <button
              type="button"
              class="small"
              disabled={working}
              onClick={() => void give(me.peek())}
              data-testid="assign-patient-me"
            >
              {w.assignments.me}
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
