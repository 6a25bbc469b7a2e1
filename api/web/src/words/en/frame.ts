// What is around every screen: the head, the foot, what says whether the page can be believed, and the help.

export const trust = {
  lost: "Connection lost. The values below are not live. Trying again…",
  silent: "The feed has gone silent. The values below are not live. Trying again…",
  anew: "The feed begins anew. The values below are not live yet.",
  kafkaAway: "The data stream is away. New values and alarms may be missing.",
  canaryDead: "Readings no longer come through the data stream. New values and alarms may be missing.",
  noData: ({ age }: { age: string }) => `No data for ${age}. The values below are not live.`,
  unwatched: "Nothing watches over the data stream any more: if it stops, this screen may not say so.",
  links: { live: "Live", connecting: "Connecting", not: "Not live" },
  // Around the time of the newest data; left out where there is little room.
  asOf: { before: "data as of", after: "" },
};

export const header = {
  demo: "DEMO",
  darkOrLight: "Dark or light",
  switchTheme: "Switch between dark and light",
  clockBehind: ({ age }: { age: string }) => `this device's clock is ${age} behind`,
  clockAhead: ({ age }: { age: string }) => `this device's clock is ${age} ahead`,
  tools: "Tools",
  leaveKiosk: "Leave kiosk",
  you: "You",
  yourName: "Your name, written beside what you do",
  held: "Order held while you point: sort now",
  hints: { move: "move", acknowledge: "acknowledge", snooze: "snooze", find: "find", help: "help" },
  waiting: ({ n, product }: { n: number; product: string }) => `(${n}) ${product}`,
};

export const pages = { title: "Pages", ward: "Ward", charge: "Charge", system: "System" };

export const help = {
  title: "Keys and marks",
  keys: {
    j: "next alarm",
    k: "alarm before",
    a: "acknowledge the chosen alarm",
    s: "snooze it",
    e: "escalate it: whoever is next is told at once",
    m: "assign it",
    u: "take back what you did last, for a few seconds",
    p: "open its patient",
    "/": "find an alarm",
    "?": "this help",
    Escape: "close what is open",
  },
  escapeKey: "Esc",
  high: "*** high: look at once",
  medium: "** medium: look promptly",
  low: "* low: be aware",
  technical: "technical: about a device or its link",
  marks:
    "Acknowledged and snoozed alarms keep the colour of their priority as an edge. A hatched value is too old to be shown. Δ is the deviation from the patient's own usual.",
};
