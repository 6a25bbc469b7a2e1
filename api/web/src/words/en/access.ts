// Logging in, and who is logged in.

import type { Rich } from "../grammar";
import { rich } from "../grammar";
import { count, list } from "./count";

export const account = {
  showsOnly: ({ name }: { name: string }) => `${name} (shows only)`,
  loggedIn: ({ name, role, teams }: { name: string; role: string; teams: readonly string[] }) =>
    `Logged in as ${name}, ${role}${teams.length > 0 ? `, care team ${list(teams)}` : ", in no care team at the moment"}.`,
  sessions: "Sessions",
  kinds: { page: "screen", wall: "wall display", program: "program" },
  // `name`: whose it is, where it is another person's.
  session: ({
    name,
    kind,
    address,
    since,
  }: {
    name: string | null;
    kind: string;
    address: string | null;
    since: string;
  }) =>
    `${name === null ? "" : `${name}: `}${kind}${address === null ? "" : ` at ${address}`}, since ${since}`,
  thisOne: "this one",
  endSession: ({ name, since }: { name: string; since: string }) =>
    `End the session of ${name} since ${since}`,
  logOff: "Log off",
  failed: "That did not work. Try again.",
};

export const door = {
  name: "Name",
  password: "Password",
  loggedOff: "You were logged off.",
  wallDisplay: "This is a wall display: it only shows, and stays logged in",
  logIn: "Log in",
  loggingIn: "Logging in…",
  failed: "The log-in failed. Try again.",
  noPatients: "No patients are shown to you",
  seesNone: ({ name, role }: { name: string; role: string }) =>
    `You are logged in as ${name} (${role}). This role sees no patients.`,
  waiting: ({ alarms, back }: { alarms: number; back: Rich[number] }): Rich =>
    rich`${alarms} ${count(alarms, { one: "alarm waits", other: "alarms wait" })}: ${back}`,
  backToWard: "back to the ward",
};
