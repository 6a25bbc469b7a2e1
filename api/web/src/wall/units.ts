// Units as people write them; the API speaks UCUM.

const UNITS: Record<string, string> = {
  Cel: "°C",
  "mm[Hg]": "mmHg",
  "{ACVPU}": "",
  "{steps}/min": "steps/min",
};

export function unitText(unit: string): string {
  return UNITS[unit] ?? unit;
}
