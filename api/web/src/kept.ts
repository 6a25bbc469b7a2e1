// Choices of this screen that outlive a reload: who sits here, density, filters, volumes. Nothing of a patient's.

import { effect, type Signal, signal } from "@preact/signals";

const PREFIX = "vigil.";

export function kept<T>(name: string, first: T, valid: (value: unknown) => value is T): Signal<T> {
  const found = signal<T>(load(name, first, valid));
  effect(() => save(name, found.value));
  return found;
}

// Storage may be forbidden or full: then a choice lasts as long as the page.
export function load<T>(name: string, first: T, valid: (value: unknown) => value is T): T {
  try {
    const text = globalThis.localStorage?.getItem(PREFIX + name);
    const value: unknown = text === null || text === undefined ? null : JSON.parse(text);
    return valid(value) ? value : first;
  } catch {
    return first;
  }
}

function save(name: string, value: unknown): void {
  try {
    globalThis.localStorage?.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    return;
  }
}

export const oneOf =
  <T extends string>(...names: readonly T[]) =>
  (value: unknown): value is T =>
    names.includes(value as T);

export const isText = (value: unknown): value is string => typeof value === "string";

// Who acts on this screen. Empty: the server's own name for an unnamed person.
export const actor = kept<string>("actor", "", isText);
