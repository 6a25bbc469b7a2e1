// The alarm inbox: everything that calls somebody, most urgent first, held still under the pointer.

import { useRef } from "preact/hooks";
import { may } from "../access/session";
import {
  alarmList,
  alarms,
  arrangeInbox,
  feed,
  inboxPointed,
  openPatient,
  outOfPlace,
  policy,
  shelf,
  shownAlarms,
  unacknowledged,
  words,
} from "../store";
import { w } from "../words";
import { Bulk, bulkOpen } from "./Bulk";
import { Card } from "./Card";
import { HandOver } from "./HandOver";
import { episodeOf, type Shelf } from "./inbox";
import { SoundBar } from "./SoundBar";
import { Undo } from "./Undo";

const SHELVES: readonly Shelf[] = ["all", "waiting", "mine"];

export function Inbox() {
  const list = shownAlarms.value;
  const known = alarms.value;
  const cards = list.map((id) => known.get(id));
  const point = () => inboxPointed(performance.now());
  return (
    <aside
      class="inbox"
      aria-label={w.inbox.title}
      data-testid="alarm-list"
      onPointerMove={point}
      onPointerDown={point}
      onWheel={point}
    >
      <div class="inbox-head">
        <h2>
          {w.inbox.title}{" "}
          <span class={`count ${unacknowledged.value > 0 ? "some" : ""}`} data-testid="unread">
            {unacknowledged.value}
          </span>
        </h2>
        <SoundBar />
        <Find />
        <div class="row">
          <fieldset class="switch" aria-label={w.inbox.which}>
            {SHELVES.map((name) => (
              <button
                key={name}
                type="button"
                aria-pressed={shelf.value === name}
                data-testid={`shelf-${name}`}
                onClick={() => {
                  shelf.value = name;
                  arrangeInbox(performance.now(), true);
                }}
              >
                {w.inbox.shelves[name]}
              </button>
            ))}
          </fieldset>
          <button
            type="button"
            class="small"
            hidden={!may("alarm.act")}
            disabled={unacknowledged.value < 2}
            onClick={() => (bulkOpen.value = true)}
            data-testid="bulk"
          >
            {w.inbox.several}
          </button>
        </div>
        {shelf.value === "mine" && may("alarm.act") && policy.value !== null && <HandOver />}
        {outOfPlace.value > 0 && (
          <button
            type="button"
            class="moved"
            data-testid="moved"
            onClick={() => arrangeInbox(performance.now(), true)}
          >
            {w.inbox.moreUrgent({ n: outOfPlace.value })}
          </button>
        )}
      </div>
      {list.length === 0 ? (
        <Nothing />
      ) : (
        <ul class="cards">
          {cards.map((alarm, at) =>
            alarm === undefined ? null : <Card key={alarm.id} alarm={alarm} episode={episodeOf(cards, at)} />,
          )}
        </ul>
      )}
      <Bulk />
      {openPatient.value === null && <Undo />}
    </aside>
  );
}

function Nothing() {
  if (feed.value !== "live") return <p class="quiet">{w.common.alarmsUnknown}</p>;
  if (alarmList.value.length === 0) return <p class="quiet">{w.common.noOpenAlarms}</p>;
  return <p class="quiet">{w.inbox.noneFits({ n: alarmList.value.length })}</p>;
}

function Find() {
  const field = useRef<HTMLInputElement>(null);
  return (
    <input
      ref={field}
      type="search"
      class="find"
      data-testid="find"
      placeholder={w.inbox.find}
      aria-label={w.inbox.findLabel}
      value={words.value}
      onInput={(event) => {
        words.value = event.currentTarget.value;
        arrangeInbox(performance.now(), true);
      }}
    />
  );
}
