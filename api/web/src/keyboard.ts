// The keyboard: j and k move through the alarms, a acknowledges the chosen one.

import { acknowledgeAlarm } from "./alarms/AlarmList";
import { alarmList, selectedAlarm } from "./store";

export function listen(): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement) return;
    const list = alarmList.peek();
    const at = list.findIndex((a) => a.id === selectedAlarm.peek());
    if (event.key === "j" || event.key === "k") {
      const next = list[event.key === "j" ? Math.min(at + 1, list.length - 1) : Math.max(at - 1, 0)];
      selectedAlarm.value = next?.id ?? null;
      document.querySelector(`[data-alarm="${next?.id}"]`)?.scrollIntoView({ block: "nearest" });
    }
    const chosen = list[at];
    if (event.key === "a" && chosen !== undefined && chosen.state !== "acknowledged")
      acknowledgeAlarm(chosen).catch(() => {
        document.querySelector<HTMLButtonElement>(`[data-alarm="${chosen.id}"] .ack`)?.focus();
      });
  });
}
