// Which page is shown beside the alarms: the ward, the charge nurse's, or the one for ops. In the address, so that it can be kept
// and gone back to.

import { signal } from "@preact/signals";

export type PageName = "ward" | "charge" | "system";
export const PAGES: readonly [PageName, string][] = [
  ["ward", "Ward"],
  ["charge", "Charge"],
  ["system", "System"],
];

export function pageOf(hash: string): PageName {
  const name = hash.replace(/^#\/?/, "");
  return PAGES.find(([known]) => known === name)?.[0] ?? "ward";
}

export const page = signal<PageName>(pageOf(globalThis.location?.hash ?? ""));
globalThis.addEventListener?.("hashchange", () => {
  page.value = pageOf(location.hash);
});
