// Who was told of an alarm, through what, and what became of it, in words. Pure.

import { moment } from "../times";
import type { Notice } from "../types";

const CHANNELS: Record<string, string> = {
  page: "on the page",
  web_push: "by push",
  webhook: "by webhook",
  email: "by e-mail",
  apprise: "by message",
};
const KINDS: Record<string, string> = {
  reminder: "reminded",
  escalated: "told next",
  worse: "told that it is worse",
};

// "told: N. Berg by e-mail 10:02:05, read 10:03:11"
export function told(notice: Notice, nowMs: number): string {
  const what = KINDS[notice.kind] ?? "told";
  const how = CHANNELS[notice.channel] ?? notice.channel;
  return `${what}: ${notice.person} ${how} ${moment(Date.parse(notice.created), nowMs)}, ${became(notice, nowMs)}`;
}

function became(notice: Notice, nowMs: number): string {
  const newest = notice.receipts[notice.receipts.length - 1];
  if (newest === undefined) return "on its way";
  const at = moment(Date.parse(newest.at), nowMs);
  switch (newest.status) {
    case "failed":
      return `not sent at ${at}, tried again`;
    case "dead":
      return `not reached, given up ${at}`;
    default:
      return `${newest.status} ${at}`;
  }
}

// Whether nobody was reached by it: said louder.
export function lost(notice: Notice): boolean {
  return notice.status === "dead" || notice.status === "failed";
}
