// Who was told of this alarm. Where the server does not tell people, there is nothing to show, and it is not asked again.

import { signal } from "@preact/signals";
import { getNotices } from "../api";
import { Panel, troubleOf, useAsked } from "../panel";
import { nowMs } from "../store";
import type { Alarm, Notices } from "../types";
import { w } from "../words";
import { lost, told } from "./notices";

const REFRESH_MS = 10_000;
const tellsPeople = signal(true);

async function ask(id: string): Promise<Notices> {
  try {
    return await getNotices(id);
  } catch (error) {
    if (troubleOf(error).kind === "absent") tellsPeople.value = false;
    throw error;
  }
}

export function Told({ alarm }: { alarm: Alarm }) {
  return tellsPeople.value ? <List alarm={alarm} /> : null;
}

function List({ alarm }: { alarm: Alarm }) {
  const asked = useAsked(`notices ${alarm.id} ${alarm.version}`, () => ask(alarm.id), REFRESH_MS);
  if (asked.data === null && asked.trouble === null) return null;
  return (
    <Panel
      asked={asked}
      thing={w.things.told}
      empty={(found) => (found.items.length + found.reasons.length === 0 ? w.story.nobodyTold : null)}
    >
      {(found) => (
        <ul class="story" data-testid="told" aria-label={w.story.toldTitle}>
          {found.more && <li>{w.story.older}</li>}
          {found.items.map((n) => (
            <li key={n.id} class={lost(n) ? "wrong-words" : ""}>
              {told(n, nowMs.value)}
            </li>
          ))}
          {found.reasons.map((r) => (
            <li key={`${r.at} ${r.reason}`} class="fine">
              {r.reason}
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
