// Units as people write them; the API speaks UCUM.

import { named, w } from "../words";

const UNITS: Record<string, string> = {
  Cel: "°C",
  "mm[Hg]": "mmHg",
  "{ACVPU}": "",
};

export function unitText(unit: string): string {
  return UNITS[unit] ?? named(w.common.units, unit);
}
