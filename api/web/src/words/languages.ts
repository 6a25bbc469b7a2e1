// The languages of the page by their tag (BCP 47). A language is a file beside `en.ts` that is a whole `Words`, and one line here.

import { en, type Words } from "./en";

export const languages: { en: Words } & Record<string, Words> = { en };
