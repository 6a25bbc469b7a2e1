// Who was told of an alarm, through what, and what became of it, in words. Pure.

import { moment } from "../times";
import type { Notice } from "../types";
import { named, w } from "../words";

// "told: N. Berg by e-mail 10:02:05, read 10:03:11"
export function told(notice: Notice, nowMs: number): string {
  const kinds: Readonly<Record<string, string>> = w.story.toldWhat;
  return w.story.told({
    what: kinds[notice.kind] ?? w.story.toldFirst,
    person: notice.person,
    how: named(w.story.channels, notice.channel),
    at: moment(Date.parse(notice.created), nowMs),
    became: became(notice, nowMs),
  });
}

function became(notice: Notice, nowMs: number): string {
  const newest = notice.receipts[notice.receipts.length - 1];
  if (newest === undefined) return w.story.onItsWay;
  const at = moment(Date.parse(newest.at), nowMs);
  switch (newest.status) {
    case "failed":
      return w.story.notSent({ at });
    case "dead":
      return w.story.notReached({ at });
    default:
      return w.story.became({ status: named(w.story.statuses, newest.status), at });
  }
}

// Whether nobody was reached by it: said louder.
export function lost(notice: Notice): boolean {
  return notice.status === "dead" || notice.status === "failed";
}
