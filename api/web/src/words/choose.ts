// Which language: what was chosen on this screen, else the first that the browser asks for and we have, else English.

const FIRST = "en";

export function chosen(kept: string, wished: readonly string[], offered: readonly string[]): string {
  for (const wish of [kept, ...wished]) {
    const found =
      offered.find((tag) => same(tag, wish)) ?? offered.find((tag) => same(tag, wish.split("-")[0] ?? ""));
    if (found !== undefined) return found;
  }
  return FIRST;
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
