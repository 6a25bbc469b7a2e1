// The keyboard: everything of the inbox without a mouse. Keys do nothing while somebody types, nor behind an open dialog.

import { may } from "./access/session";
import { acknowledge, escalate, openForm } from "./alarms/actions";
import { step } from "./alarms/inbox";
import { takeBack } from "./alarms/undo";
import { helpOpen } from "./Help";
import { alarms, arrangeInbox, openPatient, selectedAlarm, shownAlarms, words } from "./store";
import { kiosk, leaveKiosk } from "./wall/view";

// In the order in which the help tells them.
export const KEYS = ["j", "k", "a", "s", "e", "m", "u", "p", "/", "?", "Escape"] as const;

export function listen(): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      close();
      return;
    }
    if (writes(event.target) || document.querySelector("dialog[open]") !== null) return;
    const used = press(event.key);
    if (used) event.preventDefault();
  });
}

function writes(target: EventTarget | null): boolean {
  return (
    (target instanceof HTMLInputElement && target.type !== "checkbox" && target.type !== "radio") ||
    target instanceof HTMLSelectElement ||
    target instanceof HTMLTextAreaElement
  );
}

function press(key: string): boolean {
  const id = selectedAlarm.peek();
  const chosen = id === null ? undefined : alarms.peek().get(id);
  switch (key) {
    case "j":
    case "k":
      choose(step(shownAlarms.peek(), id, key === "j" ? 1 : -1));
      return true;
    case "/":
      document.querySelector<HTMLInputElement>(".find")?.focus();
      return true;
    case "?":
      helpOpen.value = true;
      return true;
    case "u":
      void takeBack();
      return true;
  }
  if (chosen === undefined) return false;
  if (key === "p") {
    if (chosen.subject !== "group") openPatient.value = chosen.patient;
    return true;
  }
  if (!may("alarm.act")) return false;
  switch (key) {
    case "a":
      if (chosen.state !== "acknowledged") void acknowledge(chosen);
      return true;
    case "s":
      openForm.value = { alarm: chosen.id, form: "snooze" };
      return true;
    case "e":
      if (chosen.state !== "latched") void escalate(chosen);
      return true;
    case "m":
      openForm.value = { alarm: chosen.id, form: "assign" };
      return true;
  }
  return false;
}

function choose(id: string | null): void {
  selectedAlarm.value = id;
  openForm.value = null;
  if (id === null) return;
  requestAnimationFrame(() => {
    const card = document.querySelector(`[data-alarm="${CSS.escape(id)}"]`);
    card?.scrollIntoView({ block: "nearest" });
    card?.querySelector<HTMLButtonElement>(".what")?.focus({ preventScroll: true });
  });
}

// The innermost open thing first: a form, words that are looked for, the chosen alarm, the kiosk. Dialogs close by themselves.
function close(): void {
  if (document.querySelector("dialog[open]") !== null) return;
  if (openForm.peek() !== null) {
    const { alarm } = openForm.peek() ?? { alarm: "" };
    openForm.value = null;
    document.querySelector<HTMLElement>(`[data-alarm="${CSS.escape(alarm)}"] .what`)?.focus();
  } else if (words.peek() !== "") {
    words.value = "";
    arrangeInbox(performance.now(), true);
  } else if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur();
  else if (selectedAlarm.peek() !== null) selectedAlarm.value = null;
  else if (kiosk.peek()) leaveKiosk();
}
