// What a panel says of the thing it shows while there is no answer. Each thing has sentences of its own, since in most languages a word
// changes with its place in one; English makes them from two forms.

export interface Thing {
  loading: string;
  absent: string;
  denied: (x: { words: string }) => string;
  away: (x: { words: string }) => string;
  failed: (x: { words: string }) => string;
}

function thing(what: string): Thing {
  const began = `${what.charAt(0).toUpperCase()}${what.slice(1)}`;
  return {
    loading: `Loading ${what}…`,
    absent: `This server does not have ${what}.`,
    denied: ({ words }) => `You may not see ${what}. ${words}`,
    away: ({ words }) => `${began} cannot be read now: ${words} It is tried again by itself.`,
    failed: ({ words }) => `${began} cannot be read: ${words}`,
  };
}

export const things = {
  burden: thing("the alarm burden"),
  carers: thing("who looks after whom"),
  devices: thing("the devices"),
  history: thing("the history"),
  limits: thing("the limits of this patient"),
  models: thing("the models"),
  modelsSay: thing("what the models say"),
  observations: thing("the observations of the last day"),
  past: thing("what happened before"),
  processes: thing("the processes"),
  shift: thing("the last twelve hours"),
  aside: thing("alarms held back and found late"),
  stream: thing("the state of the stream"),
  teams: thing("the care teams"),
  told: thing("who was told"),
  values: thing("the values of this time"),
};

export const panels = {
  unknownReason: "unknown reason",
  shownIsOf: ({ time }: { time: string }) => `What is shown is of ${time}.`,
};
