// Stands in the place of `src/words/languages.ts` where the page is built to be looked at in disguise: `vite build --mode en-XA`.

import { en, type Words } from "../src/words/en";
import { pseudo } from "./pseudo";

export const languages: { en: Words } & Record<string, Words> = { en, "en-XA": pseudo(en) };
