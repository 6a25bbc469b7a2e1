// Every word of the page's own that a person sees or hears stands in a catalogue here, one for each language, by the screen it is on.
// A component takes it from `w`: `w.inbox.snoozed({ by, left })`.
//
// Not here, because they are not the page's words:
// - what the server says in words: alarm texts (`**SpO2 86 < 90`), their reasons, the `detail` of a refusal, labels of metrics, names
//   of models, rules and processes. They are shown as they come, in the server's language;
// - what people wrote, and their names, beds and units;
// - values of the API. Where a person sees one it goes through a table of the catalogue (`w.common.states`, `w.common.roles`); one that
//   the table does not know is shown as it came;
// - units of measurement (UCUM), and the head of a CSV file, which programs read by the names the API has.
//
// The language is chosen once, when the page is loaded: `w` is a constant, and a drawing costs nothing for it.

import { isText, load } from "../kept";
import { chosen } from "./choose";
import type { Words } from "./en";
import { languages } from "./languages";

export type { Words } from "./en";

export const language = chosen(
  load("language", "", isText),
  globalThis.navigator?.languages ?? [],
  Object.keys(languages),
);

export const w: Words = languages[language] ?? languages.en;

export function applyLanguage(): void {
  document.documentElement.lang = language;
}

// The words for a value of the API; a newer server may send one that this page does not know.
export function named(table: Readonly<Record<string, string>>, value: string): string {
  return Object.hasOwn(table, value) ? (table[value] ?? value) : value;
}

// In the order people of this language expect; "A-2" before "A-10".
export const collator = new Intl.Collator(language, { numeric: true });
