// Small forms under a chosen alarm: snooze, assign, note, resolve. Each asks for as little as the server needs.

import { useEffect, useRef, useState } from "preact/hooks";
import { alarmList, me, policy } from "../store";
import type { Alarm } from "../types";
import { w } from "../words";
import { assign, type Form, note, openForm, resolve, snooze } from "./actions";
import { SNOOZE_MINUTES } from "./inbox";

export function FormOf({ alarm, form }: { alarm: Alarm; form: Form }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    box.current?.querySelector<HTMLElement>("input, button")?.focus();
    box.current?.scrollIntoView({ block: "nearest" });
  }, [form]);
  return (
    <div class="form" ref={box} data-testid={`form-${form}`}>
      {form === "snooze" && <Snooze alarm={alarm} />}
      {form === "assign" && <Assign alarm={alarm} />}
      {form === "note" && (
        <Words
          name={w.snooze.note}
          hint={w.snooze.noteHint}
          send={(text) => note(alarm, text)}
          button={w.snooze.addNote}
        />
      )}
      {form === "resolve" && (
        <Words
          name={w.snooze.whyOver}
          hint={w.snooze.whyOverHint}
          send={(text) => resolve(alarm, text)}
          button={w.inbox.resolve}
        />
      )}
    </div>
  );
}

async function done(doing: Promise<boolean>): Promise<void> {
  if (await doing) openForm.value = null;
}

function Snooze({ alarm }: { alarm: Alarm }) {
  const most = policy.value?.snooze_minutes[alarm.priority] ?? 30;
  const choices = SNOOZE_MINUTES.filter((m) => m <= most);
  const [minutes, setMinutes] = useState<number>(choices[0] ?? most);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        // What the form says, not what was last drawn: Enter may come before the next drawing.
        const said = new FormData(event.currentTarget);
        const chosen = Number(said.get(`minutes-${alarm.id}`));
        void done(snooze(alarm, chosen, String(said.get("reason")).trim() || w.snooze.reasons[0]));
      }}
    >
      <fieldset class="choices">
        <legend>{w.snooze.quietFor({ most })}</legend>
        {choices.map((m) => (
          <label key={m} class="choice">
            <input
              type="radio"
              name={`minutes-${alarm.id}`}
              value={m}
              checked={minutes === m}
              onChange={() => setMinutes(m)}
            />
            {w.snooze.minutes({ n: m })}
          </label>
        ))}
      </fieldset>
      <label class="field">
        {w.snooze.reason}
        <input list="snooze-reasons" name="reason" maxLength={2000} placeholder={w.snooze.reasons[0]} />
      </label>
      <datalist id="snooze-reasons">
        {w.snooze.reasons.map((r) => (
          <option key={r} value={r} />
        ))}
      </datalist>
      <button type="submit" class="main" data-testid="snooze-now">
        {w.snooze.now({ minutes })}
      </button>
    </form>
  );
}

function Assign({ alarm }: { alarm: Alarm }) {
  const [to, setTo] = useState("");
  const names = [...new Set(alarmList.value.map((a) => a.assigned_to).filter((n) => n !== null))];
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (to.trim() !== "") void done(assign(alarm, to.trim()));
      }}
    >
      <div class="row">
        <button type="button" onClick={() => void done(assign(alarm, me.value))} data-testid="assign-me">
          {w.snooze.toMe({ me: me.value })}
        </button>
      </div>
      <label class="field">
        {w.snooze.orTo}
        <input
          list="people"
          maxLength={64}
          value={to}
          placeholder={w.common.name}
          onInput={(event) => setTo(event.currentTarget.value)}
        />
      </label>
      <datalist id="people">
        {names.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <button type="submit" class="main" disabled={to.trim() === ""} data-testid="assign-now">
        {w.inbox.assign}
      </button>
    </form>
  );
}

interface WordsProps {
  name: string;
  hint: string;
  button: string;
  send: (text: string) => Promise<boolean>;
}

function Words({ name, hint, button, send }: WordsProps) {
  const [text, setText] = useState("");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim() !== "") void done(send(text.trim()));
      }}
    >
      <label class="field">
        {name}
        <input
          maxLength={2000}
          value={text}
          placeholder={hint}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <button type="submit" class="main" disabled={text.trim() === ""} data-testid="words-send">
        {button}
      </button>
    </form>
  );
}
