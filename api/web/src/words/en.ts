// English: the catalogue that says which words there are. Another language is `export const de: Words = { … }`: one that lacks a text, or
// has one too many or another argument, is an error of `tsc`.

import { account, door } from "./en/access";
import { bulk, inbox, snooze, sound, story, why } from "./en/alarms";
import { assignments, burden, census, charge, devices, teams } from "./en/charge";
import { common, time } from "./en/common";
import { handover, limits, observe } from "./en/desks";
import { header, help, pages, trust } from "./en/frame";
import { models, news2, patient, table, timeline, trends } from "./en/patient";
import { push } from "./en/push";
import { modelList, system } from "./en/system";
import { panels, things } from "./en/things";
import { wall } from "./en/wall";

export const en = {
  account,
  assignments,
  bulk,
  burden,
  census,
  charge,
  common,
  devices,
  door,
  handover,
  header,
  help,
  inbox,
  limits,
  modelList,
  models,
  news2,
  observe,
  pages,
  panels,
  patient,
  push,
  snooze,
  sound,
  story,
  system,
  table,
  teams,
  things,
  time,
  timeline,
  trends,
  trust,
  wall,
  why,
};

export type Words = typeof en;
