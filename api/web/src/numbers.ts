// Numbers for people: the decimal mark and the groups of the language; digits and rounding are the same in all of them, since what is
// shown of a value must be what the server compared with a limit.

import { language, w } from "./words";

const mark =
  new Intl.NumberFormat(language).formatToParts(0.5).find((p) => p.type === "decimal")?.value ?? ".";
// Digits as JavaScript writes them, with the decimal mark of the language.
export const marked = (text: string): string => (mark === "." ? text : text.replace(".", mark));

export const fixed = (value: number, digits: number): string => marked(value.toFixed(digits));
export const precise = (value: number, digits: number): string => marked(value.toPrecision(digits));
export const plain = (value: number): string => marked(String(value));
export const percent = (share: number): string => w.common.percent({ n: Math.round(share * 100) });

const groups = [0, 1, 2, 3].map(
  (digits) => new Intl.NumberFormat(language, { maximumFractionDigits: digits, numberingSystem: "latn" }),
);

export function grouped(value: number, digits: 0 | 1 | 2 | 3): string {
  return groups[digits]?.format(value) ?? plain(value);
}
