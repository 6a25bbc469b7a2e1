// What catalogues are written with: plurals, lists, and sentences with something drawn in the middle of them.

import type { ComponentChild } from "preact";

// A sentence with elements in it, which a language puts where it wants them.
export type Rich = ComponentChild[];

export function rich(texts: TemplateStringsArray, ...inside: ComponentChild[]): Rich {
  return texts.flatMap((text, k): Rich => (k < inside.length ? [text, inside[k]] : [text]));
}

// The form of a word for a count: `counting("pl")(n, { one: …, few: …, other: … })`.
export type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

export function counting(language: string): (count: number, forms: Forms) => string {
  const rules = new Intl.PluralRules(language);
  return (count, forms) => forms[rules.select(count)] ?? forms.other;
}

export function listing(language: string): (items: readonly string[]) => string {
  const format = new Intl.ListFormat(language, { type: "unit" });
  return (items) => format.format(items);
}
