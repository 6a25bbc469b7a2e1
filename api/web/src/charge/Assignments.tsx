// Who looks after whom. Assigning a patient assigns every open alarm of theirs; one that comes later is nobody's until it is assigned.

import { useState } from "preact/hooks";
import { assign, failures } from "../alarms/actions";
import { waits } from "../alarms/inbox";
import { Scrolls } from "../Scrolls";
import { alarmList, alarms, type Bed, beds, connection, me, nowMs, openPatient, worst } from "../store";
import { carers, loads } from "./census";

export function Assignments() {
  const calling = [...beds.value.values()]
    .filter((bed) => bed.alarms.value.length > 0)
    .sort((a, b) => (a.who.value.bed ?? "").localeCompare(b.who.value.bed ?? "", "en", { numeric: true }));
  const people = loads(alarmList.value, nowMs.value);
  return (
    <section class="panel" aria-labelledby="assign-title" data-testid="assignments">
      <h2 id="assign-title">
        Assignments <small>{calling.length} patients with open alarms</small>
      </h2>
      {calling.length === 0 ? (
        <p class="quiet" data-testid="panel-empty">
          {connection.value.link === "live"
            ? "No patient has an open alarm."
            : "Alarms are not known: not connected."}
        </p>
      ) : (
        <>
          <ul class="loads" aria-label="How much each person has in hand">
            {people.map((p) => (
              <li key={p.name} class={p.name === "" ? "nobody" : ""}>
                <strong>{p.name === "" ? "Nobody" : p.name}</strong> {p.open}{" "}
                {p.open === 1 ? "alarm" : "alarms"}, {p.waiting} waiting
              </li>
            ))}
          </ul>
          <Scrolls label="Patients with open alarms">
            <table class="figures">
              <thead>
                <tr>
                  <th scope="col">Bed</th>
                  <th scope="col">Patient</th>
                  <th scope="col">Open</th>
                  <th scope="col">Waiting</th>
                  <th scope="col">With</th>
                  <th scope="col">Assign all of them to</th>
                </tr>
              </thead>
              <tbody>
                {calling.map((bed) => (
                  <Row key={bed.id} bed={bed} names={people.map((p) => p.name).filter((n) => n !== "")} />
                ))}
              </tbody>
            </table>
          </Scrolls>
        </>
      )}
    </section>
  );
}

function Row({ bed, names }: { bed: Bed; names: readonly string[] }) {
  const [to, setTo] = useState("");
  const [working, setWorking] = useState(false);
  const [said, setSaid] = useState<{ words: string; failed: boolean } | null>(null);
  const who = bed.who.value;
  const list = bed.alarms.value;
  const waiting = list.filter((a) => waits(a, nowMs.value));
  const tone =
    worst(waiting.filter((a) => a.lane === "physiological")) ?? (waiting.length > 0 ? "technical" : "");
  const send = async (name: string) => {
    setWorking(true);
    let done = 0;
    for (const alarm of list) if (await assign(alarms.peek().get(alarm.id) ?? alarm, name)) done += 1;
    setWorking(false);
    const missed = list.length - done;
    const why = list.map((a) => failures.peek().get(a.id)).find((words) => words !== undefined);
    setSaid(
      missed === 0
        ? { words: `${done} assigned to ${name}.`, failed: false }
        : { words: `${missed} not assigned: ${why ?? "try again"}`, failed: true },
    );
    if (missed === 0) setTo("");
  };
  return (
    <tr data-testid="assignment" data-patient={bed.id}>
      <th scope="row">{who.bed ?? "–"}</th>
      <td>
        <button type="button" class="plain-link" onClick={() => (openPatient.value = bed.id)}>
          {who.name ?? who.id}
        </button>
      </td>
      <td>{list.length}</td>
      <td>{waiting.length > 0 ? <span class={`pill ${tone}`}>{waiting.length}</span> : 0}</td>
      <td>
        {carers(list)
          .map((n) => (n === "" ? "nobody" : n))
          .join(", ")}
      </td>
      <td>
        <form
          class="row"
          onSubmit={(event) => {
            event.preventDefault();
            if (to.trim() !== "") void send(to.trim());
          }}
        >
          <input
            list={`to-${bed.id}`}
            maxLength={64}
            size={14}
            value={to}
            placeholder="Name"
            aria-label={`Assign the alarms of ${who.name ?? who.id} to`}
            onInput={(event) => setTo(event.currentTarget.value)}
          />
          <datalist id={`to-${bed.id}`}>
            {[...new Set([me.value, ...names])].map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
          <button type="submit" class="small main" disabled={working || to.trim() === ""}>
            Assign
          </button>
          <button
            type="button"
            class="small"
            disabled={working}
            onClick={() => void send(me.peek())}
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
    </tr>
  );
}
