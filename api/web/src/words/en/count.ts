// The grammar of English.

import { counting, listing } from "../grammar";

export const count = counting("en");
export const list = listing("en");

export const alarms = (n: number): string => count(n, { one: "alarm", other: "alarms" });
