// The number of alarms that wait, where it is seen while the page is behind others: in its title and its icon.

import { effect } from "@preact/signals";
import { unacknowledged } from "./store";
import { w } from "./words";

export function titleOf(count: number): string {
  return count > 0 ? w.header.waiting({ n: count, product: w.common.product }) : w.common.product;
}

export function iconOf(count: number): string {
  if (count === 0) return "/favicon.svg";
  return `/alarms-${count > 9 ? "more" : count}.svg`;
}

export function showCount(): void {
  effect(() => {
    const count = unacknowledged.value;
    document.title = titleOf(count);
    document.querySelector("link[rel=icon]")?.setAttribute("href", iconOf(count));
  });
}
