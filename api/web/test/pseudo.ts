// English in a disguise, `en-XA`: every letter of the page's own is accented and every vowel stands twice, so that a text is some 40 %
// longer. What stays plain on the screen was not taken from a catalogue. What is put into a text stays as it is.

import type { Words } from "../src/words";

const PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ACCENTED = "áƀčďéƒğĥíĵķłɱñóþɋřšťúṽŵẋýžÁƁČĎÉƑĞĤÍĴĶŁṀÑÓÞɊŘŠŤÚṼŴẊÝŽ";
const [OPEN, SHUT] = ["\uE000", "\uE001"];
const INSIDE = new RegExp(`${OPEN}[^${SHUT}]*${SHUT}`, "g");

function letter(plain: string): string {
  const accented = [...ACCENTED][PLAIN.indexOf(plain)] ?? plain;
  return /[aeiouAEIOU]/.test(plain) ? accented + accented.toLowerCase() : accented;
}

function disguised(text: string): string {
  const kept = text.match(INSIDE) ?? [];
  return text
    .split(INSIDE)
    .map((own) => own.replaceAll(/[a-zA-Z]/g, letter))
    .map((own, k) => own + (kept[k]?.slice(1, -1) ?? ""))
    .join("");
}

function held(value: unknown): unknown {
  if (typeof value === "string") return `${OPEN}${value}${SHUT}`;
  return Array.isArray(value) ? value.map(held) : value;
}

function disguise(found: unknown): unknown {
  if (typeof found === "string") return disguised(found);
  if (Array.isArray(found)) return found.map(disguise);
  if (typeof found === "function")
    return (given: Record<string, unknown>) =>
      disguise(found(new Proxy(given, { get: (from, name) => held(Reflect.get(from, name)) })));
  if (typeof found !== "object" || found === null) return found;
  // An element that stands in a sentence has its words already.
  if (Object.getPrototypeOf(found) !== Object.prototype || "type" in found) return found;
  return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, disguise(value)]));
}

export const pseudo = (words: Words): Words => disguise(words) as Words;
