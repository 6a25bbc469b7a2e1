// What people observe at the bedside: the form, and what was written down in the last day, with its author.

import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { may } from "../access/session";
import { ApiError, getObservations, observe } from "../api";
import { Panel, useAsked } from "../panel";
import { age } from "../stale";
import { type Bed, me, metrics, nowMs } from "../store";
import { moment, utc } from "../times";
import type { Observation } from "../types";
import { unitText } from "../wall/units";
import { w } from "../words";
import { checked, EMPTY, type Form, type Oxygen, TYPED, words } from "./observed";

const DAY_MS = 86_400_000;
const REFRESH_MS = 15_000;
const MOST = 6;

export function Observations({ bed }: { bed: Bed }) {
  const [writing, setWriting] = useState(false);
  const [all, setAll] = useState(false);
  const asked = useAsked(
    `observations ${bed.id}`,
    () => getObservations(bed.id, nowMs.peek() - DAY_MS, nowMs.peek() + 60_000),
    REFRESH_MS,
  );
  const items = asked.data;
  useEffect(() => {
    // What was observed hours ago still counts for NEWS2, also on a screen that was opened since.
    for (const observation of items ?? []) take(bed, observation);
  }, [bed, items]);
  return (
    <section class="observations" aria-label={w.observe.region} data-testid="observations">
      <div class="row">
        <h3>{w.observe.title}</h3>
        <span class="space" />
        <button
          type="button"
          hidden={!may("observation.write")}
          class={writing ? "small" : "small main"}
          aria-expanded={writing}
          onClick={() => setWriting(!writing)}
          data-testid="observe-open"
        >
          {writing ? w.common.cancel : w.observe.write}
        </button>
      </div>
      {writing && (
        <Write
          bed={bed}
          done={() => {
            setWriting(false);
            asked.again();
          }}
        />
      )}
      <Panel
        asked={asked}
        thing={w.things.observations}
        empty={(found) => (found.length === 0 ? w.observe.nothing : null)}
      >
        {(found) => (
          <>
            <ul class="observed">
              {(all ? found : found.slice(0, MOST)).map((o) => (
                <Line key={o.id} observation={o} />
              ))}
            </ul>
            {found.length > MOST && (
              <button type="button" class="small" aria-expanded={all} onClick={() => setAll(!all)}>
                {all ? w.observe.onlyNewest : w.observe.all({ n: found.length })}
              </button>
            )}
          </>
        )}
      </Panel>
    </section>
  );
}

export function take(bed: Bed, observation: Observation): void {
  for (const r of observation.readings)
    bed.take(r.metric, { value: r.value, unit: r.unit, time: observation.taken, quality: "good" });
}

export function Line({ observation }: { observation: Observation }) {
  const takenMs = Date.parse(observation.taken);
  const late = Date.parse(observation.recorded) - takenMs;
  return (
    <li data-testid="observed">
      <p>
        {words(observation, metrics.value)}
        {observation.note !== null && <q class="note-words">{observation.note}</q>}
      </p>
      <p class="fine">
        <time dateTime={observation.taken} title={utc(takenMs)}>
          {moment(takenMs, nowMs.value)}
        </time>{" "}
        {late > 60_000
          ? w.observe.byLater({ author: observation.author, age: age(Math.floor(late / 1000)) })
          : w.observe.by(observation)}
      </p>
    </li>
  );
}

function Write({ bed, done }: { bed: Bed; done: () => void }) {
  const [form, setForm] = useState<Form>(EMPTY);
  const [wrong, setWrong] = useState<{ field: string; reason: string } | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const [working, setWorking] = useState(false);
  const key = useRef(crypto.randomUUID());
  const box = useRef<HTMLFormElement>(null);
  useLayoutEffect(() => box.current?.querySelector<HTMLInputElement>("input")?.focus(), []);
  const change = (part: Partial<Form>) => {
    setForm({ ...form, ...part });
    setWrong(null);
    key.current = crypto.randomUUID(); // another content is another observation
  };
  const send = async () => {
    const found = checked(form, metrics.peek(), nowMs.peek());
    if (!found.ok) {
      setWrong(found);
      box.current?.querySelector<HTMLInputElement>(`[name="${found.field}"]`)?.focus();
      return;
    }
    setWorking(true);
    setFailure(null);
    try {
      take(bed, await observe(bed.id, found.body, key.current));
      done();
    } catch (error) {
      const first = error instanceof ApiError ? error.errors[0] : undefined;
      const at = first === undefined ? null : /^readings\.(\d+)\./.exec(first.field);
      const metric = at === null ? undefined : found.body.readings[Number(at[1])]?.metric;
      if (first !== undefined) setWrong({ field: metric ?? first.field, reason: first.reason });
      setFailure(error instanceof ApiError ? error.message : w.observe.notWritten);
    } finally {
      setWorking(false);
    }
  };
  return (
    <form
      ref={box}
      class="write"
      data-testid="observe-form"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <fieldset class="choices">
        <legend>{w.observe.consciousness}</legend>
        {w.common.consciousness.map((name, k) => (
          <label key={name} class="choice">
            <input
              type="radio"
              name="consciousness"
              value={k}
              checked={form.consciousness === String(k)}
              onChange={() => change({ consciousness: String(k) })}
            />
            {name}
          </label>
        ))}
      </fieldset>
      <fieldset class="choices">
        <legend>{w.observe.breathes}</legend>
        {OXYGEN.map((name) => (
          <label key={name} class="choice">
            <input
              type="radio"
              name="oxygen"
              value={name}
              checked={form.oxygen === name}
              onChange={() => change({ oxygen: name })}
            />
            {w.observe.oxygen[name]}
          </label>
        ))}
        {(form.oxygen === "flow" || form.oxygen === "fraction") && (
          <Amount
            name="amount"
            label={unitText(form.oxygen === "flow" ? "L/min" : "%")}
            value={form.amount}
            wrong={
              wrong?.field === "amount" || wrong?.field === "oxygen_flow" || wrong?.field === "inhaled_oxygen"
                ? wrong.reason
                : null
            }
            onInput={(amount) => change({ amount })}
          />
        )}
      </fieldset>
      <div class="amounts">
        {TYPED.map((metric) => {
          const info = metrics.value.get(metric);
          return (
            <Amount
              key={metric}
              name={metric}
              label={info?.label ?? metric}
              unit={unitText(info?.unit ?? "")}
              value={form.values[metric] ?? ""}
              wrong={wrong?.field === metric ? wrong.reason : null}
              onInput={(text) => change({ values: { ...form.values, [metric]: text } })}
            />
          );
        })}
      </div>
      <label class="field">
        {w.observe.note}
        <input
          name="note"
          maxLength={2000}
          value={form.note}
          placeholder={w.observe.noteHint}
          aria-invalid={wrong?.field === "note"}
          onInput={(event) => change({ note: event.currentTarget.value })}
        />
      </label>
      {wrong !== null && !NAMED.has(wrong.field) && (
        <p class="error" role="alert">
          {wrong.field === "note" ? w.observe.give({ what: wrong.reason }) : w.observe.wrongField(wrong)}
        </p>
      )}
      {failure !== null && (
        <p class="error" role="alert">
          {failure}
        </p>
      )}
      <div class="row">
        <button type="submit" class="main" disabled={working} data-testid="observe-send">
          {w.observe.writeAs({ me: me.value })}
        </button>
        <label class="field">
          {w.observe.takenAt}
          <input
            name="taken"
            inputMode="numeric"
            autoComplete="off"
            size={6}
            maxLength={5}
            placeholder={w.observe.now}
            value={form.taken}
            aria-label={w.observe.takenLabel}
            aria-invalid={wrong?.field === "taken"}
            onInput={(event) => change({ taken: event.currentTarget.value })}
          />
        </label>
      </div>
      <p class="fine">{form.taken === "" ? w.observe.takenNow : w.observe.takenEarlier}</p>
    </form>
  );
}

const OXYGEN: readonly Exclude<Oxygen, "">[] = ["air", "flow", "fraction"];
const NAMED = new Set<string>([...TYPED, "amount", "oxygen_flow", "inhaled_oxygen"]);

interface AmountProps {
  name: string;
  label: string;
  unit?: string;
  value: string;
  wrong: string | null;
  onInput: (text: string) => void;
}

function Amount({ name, label, unit, value, wrong, onInput }: AmountProps) {
  const hint = useId();
  return (
    <label class={wrong === null ? "amount" : "amount wrong"}>
      <span>
        {label} <span class="unit">{unit}</span>
      </span>
      <input
        name={name}
        inputMode="decimal"
        autoComplete="off"
        size={5}
        maxLength={8}
        value={value}
        aria-invalid={wrong !== null}
        aria-describedby={wrong === null ? undefined : hint}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      {wrong !== null && (
        <small id={hint} role="alert">
          {wrong}
        </small>
      )}
    </label>
  );
}
