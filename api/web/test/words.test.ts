import { describe, expect, it } from "vitest";
import { type Words, w } from "../src/words";
import { chosen } from "../src/words/choose";
import { en } from "../src/words/en";
import { pseudo } from "./pseudo";
import { unworded } from "./unworded";

const sources = import.meta.glob<string>("../src/**/*.{ts,tsx,css}", {
  query: "?raw",
  import: "default",
  eager: true,
});
const files = (ending: RegExp): [string, string][] =>
  Object.entries(sources).filter(([file]) => ending.test(file) && !file.includes("/words/"));

describe("the language", () => {
  it.each([
    ["", ["de-CH", "en"], "de"],
    ["", ["fr", "pt-br"], "pt-BR"],
    ["de", ["en-GB"], "de"],
    ["gone", ["en-GB"], "en"],
    ["", ["fr"], "en"],
    ["", [], "en"],
  ])("kept %j, wished %j: %s", (kept, wished, found) => {
    expect(chosen(kept, wished, ["en", "de", "pt-BR"])).toBe(found);
  });
});

describe("a catalogue of another language", () => {
  it("is an error of tsc where it lacks a text, has one too many, or says it with other values", () => {
    const { wall, ...rest } = en;
    // @ts-expect-error
    const lacking: Words = rest;
    // @ts-expect-error
    const misnamed: Words = { ...en, wal: wall };
    const { byBed, ...shorter } = wall;
    // @ts-expect-error
    const incomplete: Words = { ...en, wall: shorter };
    // @ts-expect-error
    const other: Words = { ...en, wall: { ...wall, old: ({ years }: { years: string }) => years } };
    expect([lacking, misnamed, incomplete, other, byBed]).toHaveLength(5);
  });
});

// Every text of a catalogue by its name; what is put into one is of each kind that it may be.
const LISTS = new Set(["metrics", "parts", "shares", "teams", "units"]);
const INSERTED = "0ẍ"; // no text of English has it
function* texts(of: unknown, name: string): Generator<[string, string]> {
  if (typeof of === "string") yield [name, of];
  else if (Array.isArray(of)) for (const part of of) yield* texts(part, name);
  else if (typeof of === "function")
    for (const value of [0, 1, 2, 5, INSERTED, null]) {
      const given = new Proxy(
        {},
        { get: (_, key) => (LISTS.has(String(key)) ? [INSERTED, INSERTED] : value) },
      );
      yield* texts(of(given), `${name}(${value})`);
    }
  else if (typeof of === "object" && of !== null)
    for (const [key, value] of Object.entries(of)) yield* texts(value, `${name}.${key}`);
}

describe("in disguise", () => {
  const english = [...texts(en, "w")];
  const disguised = [...texts(pseudo(en), "w")];

  it("every text of the catalogue is accented, and longer by two fifths over all", () => {
    expect(english.length).toBeGreaterThan(700);
    expect(disguised.map(([name]) => name)).toEqual(english.map(([name]) => name));
    const plain = disguised.filter(([, said]) => /[a-z]/i.test(said.replaceAll("null", "")));
    expect(plain).toEqual([]);
    const length = (all: [string, string][]): number => all.reduce((sum, [, said]) => sum + said.length, 0);
    expect(length(disguised) / length(english)).toBeGreaterThan(1.25);
  });
  it("what is put into a text stays as it is", () => {
    const found = pseudo(en).inbox.snoozed({ by: "Ann", left: "4:05", reason: null });
    expect(found).toBe("Šñóóóóžééď ƀý Ann, 4:05 łééƒť");
  });
  it("an English text begins and ends with no space: a translator would not see it", () => {
    const spaced = english.filter(([, said]) => said !== said.trim() && !said.includes(INSERTED));
    expect(spaced.filter(([name]) => !/^w\.(door\.waiting|limits\.(ownOrNot|trial))/.test(name))).toEqual([]);
  });
});

describe("texts that stand in the code", () => {
  it.each(files(/\.tsx?$/))("%s has none", (file, code) => {
    expect(unworded(code, file)).toEqual([]);
  });
  it.each(files(/\.css$/))("%s shows none", (_, style) => {
    const shown = [...style.matchAll(/content:\s*(["'].*?["'])/g)].map(([, said]) => said ?? "");
    expect(shown.filter((said) => /\p{L}/u.test(said.replaceAll(/\\[0-9a-f]+/gi, "")))).toEqual([]);
  });
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: code
  it.each([
    ["visible text", "<p>Alarms</p>"],
    ["text beside a value", "<p>{n} min</p>"],
    ["a literal that is shown", '<p>{"Alarms"}</p>'],
    ["one of two", '<p>{n > 1 ? "some" : null}</p>'],
    ["one instead of nothing", '<p>{n ?? "none"}</p>'],
    ["a sentence that is glued", "<p>{`${n} left`}</p>"],
    ["a label", '<a aria-label="close" />'],
    ["a label that is glued", "<a aria-label={`sound ${n}`} />"],
    ["a hint", '<a title="next" />'],
    ["a placeholder", '<input placeholder={n === 1 ? "name" : "names"} />'],
    ["a picture's text", '<img alt="ward" />'],
    ["what a component is given", '<Panel what="the limits" />'],
    ["what code says", 'say("Not done. Try again.")'],
    ["a word in a table", 'const WORDS = { raised: "Raised" }'],
    ["a title of the page", "document.title = `${n} alarms wait`"],
  ])("%s is found", (_, planted) => {
    expect(unworded(`const n = 1; ${planted};`, "planted.tsx")).toHaveLength(
      planted.includes("names") ? 2 : 1,
    );
  });
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: code
  it("what no person reads is not taken for one", () => {
    const code = `import { a } from "./a";
      const A = () => <div class="bar high" data-testid="all" id={"x"}>{n === "ward" && <i>{": "}</i>}{w.inbox.title}</div>;
      throw new Error("no such band");`;
    expect(unworded(code, "fine.tsx")).toEqual([]);
  });
});

it("the catalogue in use is English where nothing else was built in", () => {
  expect(w).toBe(en);
});
