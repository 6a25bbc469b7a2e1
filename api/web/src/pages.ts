// Which page is shown beside the alarms: the ward, the charge nurse's, or the one for ops. In the address, so that it can be kept
// and gone back to. A role is offered the pages that it has something on.

import { computed, signal } from "@preact/signals";
import { account } from "./access/session";

export type PageName = "ward" | "charge" | "system";
const PAGES: readonly PageName[] = ["ward", "charge", "system"];

// What each page needs, one of them is enough.
const NEEDS: Record<PageName, readonly string[]> = {
  ward: ["live.follow"],
  charge: ["live.follow", "burden.see"],
  system: ["system.see"],
};

// `may`: the actions of a role; null: nobody has to log in, and everything is offered.
export function offered(may: readonly string[] | null): readonly PageName[] {
  return PAGES.filter((name) => may === null || NEEDS[name].some((action) => may.includes(action)));
}

export function pageOf(hash: string): PageName {
  const name = hash.replace(/^#\/?/, "");
  return PAGES.find((known) => known === name) ?? "ward";
}

const wanted = signal<PageName>(pageOf(globalThis.location?.hash ?? ""));
globalThis.addEventListener?.("hashchange", () => {
  wanted.value = pageOf(location.hash);
});

export const pages = computed(() => offered(account.value?.may ?? null));
export const page = computed<PageName>(() => {
  const found = pages.value;
  return found.find((name) => name === wanted.value) ?? found[0] ?? "ward";
});
