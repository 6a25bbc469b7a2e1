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
import { ACVPU, checked, EMPTY, type Form, type Oxygen, TYPED, words } from "./observed";

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
    <section class="observations" aria-label="Observations by hand" data-testid="observations">
      <div class="row">
        <h3>Observed by hand</h3>
        <span class="space" />
        <button
          type="button"
          hidden={!may("observation.write")}
          class={writing ? "small" : "small main"}
          aria-expanded={writing}
          onClick={() => setWriting(!writing)}
          data-testid="observe-open"
        >
          {writing ? "Cancel" : "Write down…"}
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
        what="the observations of the last day"
        empty={(found) => (found.length === 0 ? "Nothing written down in the last 24 hours." : null)}
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
                {all ? "Only the newest" : `All ${found.length}`}
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
        by {observation.author}
        {late > 60_000 && `, written down ${age(Math.floor(late / 1000))} later`}
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
      setFailure(error instanceof ApiError ? error.message : "Not written down. Try again.");
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
        <legend>Consciousness (ACVPU)</legend>
        {ACVPU.map((name, k) => (
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
        <legend>Breathes</legend>
        {OXYGEN.map(([name, text]) => (
          <label key={name} class="choice">
            <input
              type="radio"
              name="oxygen"
              value={name}
              checked={form.oxygen === name}
              onChange={() => change({ oxygen: name })}
            />
            {text}
          </label>
        ))}
        {(form.oxygen === "flow" || form.oxygen === "fraction") && (
          <Amount
            name="amount"
            label={form.oxygen === "flow" ? "L/min" : "%"}
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
        Note
        <input
          name="note"
          maxLength={2000}
          value={form.note}
          placeholder="What was seen or done"
          aria-invalid={wrong?.field === "note"}
          onInput={(event) => change({ note: event.currentTarget.value })}
        />
      </label>
      {wrong !== null && !NAMED.has(wrong.field) && (
        <p class="error" role="alert">
          {wrong.field === "note" ? `Give ${wrong.reason}.` : `${wrong.field}: ${wrong.reason}.`}
        </p>
      )}
      {failure !== null && (
        <p class="error" role="alert">
          {failure}
        </p>
      )}
      <div class="row">
        <button type="submit" class="main" disabled={working} data-testid="observe-send">
          Write down as {me.value}
        </button>
        <label class="field">
          taken at
          <input
            name="taken"
            inputMode="numeric"
            autoComplete="off"
            size={6}
            maxLength={5}
            placeholder="now"
            value={form.taken}
            aria-label="Taken at, as 14:05; empty: now"
            aria-invalid={wrong?.field === "taken"}
            onInput={(event) => change({ taken: event.currentTarget.value })}
          />
        </label>
      </div>
      <p class="fine">
        {form.taken === ""
          ? "Taken now: judged like a device's values, an alarm may follow."
          : "Taken earlier: kept and shown, and no alarm follows from it."}
      </p>
    </form>
  );
}

const OXYGEN: readonly [Oxygen, string][] = [
  ["air", "Air"],
  ["flow", "Oxygen by flow"],
  ["fraction", "Oxygen by FiO2"],
];
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
