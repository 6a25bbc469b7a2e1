"""Decisions about equipment and about ourselves as alarm events: silence, values that stand still, batteries, faults. Pure."""

from __future__ import annotations

from typing import Final

from alerting.clocks import ClockDecision
from alerting.conditions import Decision, Kind
from alerting.events import event_of
from alerting.faults import FaultDecision
from alerting.missing import MissingDecision
from alerting.models import ModelDecision
from alerting.rules.equipment import BatteryRule
from alerting.rules.model import lane_of
from alerting.silence import SilenceDecision
from alerting.texts import battery_text, missing_text, number, silence_text, together_text, unchanging_text
from alerting.thresholds import priority_of
from alerting.together import TogetherDecision
from alerting.unchanging import UnchangingDecision
from contracts.alarms import MARKS, AlarmEvent, Priority, Reason, State, alarm_id
from contracts.groups import is_group
from contracts.vitals import CATALOGUE

MODEL: Final = "model_degraded"
TOGETHER: Final = "devices_silent"
FAULT: Final = "processing_fault"


def silence_event(
    decision: SilenceDecision, patient: str, device: str, version: int, *, group: str
) -> AlarmEvent:
    """The event of a silence decision. The condition names the device: two silent devices are two alarms. `group`: whose alarm
    an inhibited one stands behind."""
    if decision.withdrawn:
        text = f"Device {device} silent: the rule was withdrawn"
    elif decision.kind is Kind.CLEARED:
        text = f"Device {device} sends again"
    else:
        text = silence_text(device, decision.quiet_ms, old_data=decision.old_data)
    reasons: tuple[Reason, ...] = (
        Reason(kind="silence", limit=decision.quiet_ms / 1000, unit="s", since_ms=decision.onset_ms, text=text),
    )
    if decision.kind is Kind.INHIBITED:
        standing = alarm_id(group, TOGETHER, decision.behind_ms)
        reasons += (
            Reason(kind="inhibited", since_ms=decision.at_ms, text=f"Held back: alarm {standing} stands for all silent devices"),
        )
    return event_of(
        decision.kind, patient, f"device_silent:{device}", decision.onset_ms, decision.condition_ms, decision.at_ms,
        decision.number, priority_of(decision.priority), lane_of("silence"), version, device=device, text=text,
        reasons=reasons, state=State.INHIBITED if decision.held else State.ACTIVE,
    )  # fmt: skip


def model_event(decision: ModelDecision, group: str, priority: Priority, version: int) -> AlarmEvent:
    """The event of a model in trouble. Its subject is the group: no single patient is meant."""
    if decision.kind is not Kind.CLEARED:
        text = f"{MARKS[priority]}Model {decision.model} degraded: {decision.text}"
    elif decision.silent:
        text = f"Model {decision.model}: nothing more is heard of it"
    else:
        text = f"Model {decision.model} works again"
    return event_of(
        decision.kind, group, f"{MODEL}:{decision.model}", decision.onset_ms, decision.onset_ms, decision.at_ms,
        2 if decision.kind is Kind.CLEARED else 1, priority, lane_of("fault"), version, text=text[:300],
        reasons=(Reason(kind="fault", since_ms=decision.onset_ms, text=decision.text),),
    )  # fmt: skip


def together_event(decision: TogetherDecision, group: str, priority: Priority, version: int) -> AlarmEvent:
    """The event of the alarm that stands for those of a group's silent devices."""
    standing, cleared = decision.standing, decision.kind is Kind.CLEARED
    if decision.withdrawn:
        text = "Devices of a group silent: the rule was withdrawn"
    elif cleared:
        text = f"{decision.back} devices of the group send; those still silent are told one by one"
    else:
        text = together_text(standing.silent, standing.devices)
    reason = Reason(
        kind="silence", value=float(standing.silent), limit=float(standing.devices), unit="{devices}",
        since_ms=standing.onset_ms, text=text,
    )  # fmt: skip
    return event_of(
        decision.kind, group, TOGETHER, standing.onset_ms, standing.condition_ms, decision.at_ms, 2 if cleared else 1,
        priority, lane_of("silence"), version, text=text, reasons=(reason,),
    )  # fmt: skip


def unchanging_event(decision: UnchangingDecision, patient: str, device: str, version: int) -> AlarmEvent:
    """The event of a value that does not change, or changes again."""
    vital, cleared = CATALOGUE[decision.metric], decision.kind is Kind.CLEARED
    if decision.withdrawn:
        text = f"{vital.label} does not change: the rule was withdrawn"
    elif cleared:
        text = f"{vital.label} changes again"
    else:
        text = unchanging_text(vital, decision.value, decision.held_ms)
    reason = Reason(
        kind="unchanging", metric=vital.name, value=None if cleared else number(decision.value),
        limit=decision.held_ms / 1000, unit="s", since_ms=decision.onset_ms, text=text,
    )  # fmt: skip
    return event_of(
        decision.kind, patient, f"{vital.name}_unchanging:{device}", decision.onset_ms,
        decision.onset_ms + decision.held_ms, decision.at_ms, 2 if cleared else 1, priority_of(decision.priority),
        lane_of("unchanging"), version, device=device, metric=vital.name, text=text, reasons=(reason,),
    )  # fmt: skip


def missing_event(decision: MissingDecision, patient: str, device: str, version: int) -> AlarmEvent:
    """The event of a vital sign that a device no longer sends, or sends again."""
    vital, cleared = CATALOGUE[decision.metric], decision.kind is Kind.CLEARED
    if decision.withdrawn:
        text = f"{vital.label} missing: the rule was withdrawn"
    elif cleared:
        text = f"{vital.label} comes again"
    else:
        text = missing_text(vital, device, decision.limit_ms)
    reason = Reason(
        kind="silence", metric=vital.name, limit=decision.limit_ms / 1000, unit="s", since_ms=decision.onset_ms, text=text
    )
    return event_of(
        decision.kind, patient, f"{vital.name}_missing:{device}", decision.onset_ms,
        min(decision.onset_ms + decision.limit_ms, decision.at_ms), decision.at_ms, 2 if cleared else 1,
        priority_of(decision.priority), lane_of("missing"), version, device=device, metric=vital.name, text=text,
        reasons=(reason,),
    )  # fmt: skip


def clock_event(decision: ClockDecision, patient: str, device: str, version: int) -> AlarmEvent:
    """The event of a clock that runs ahead, or is right again."""
    cleared = decision.kind is Kind.CLEARED
    if decision.withdrawn:
        text = f"Clock of device {device}: the rule was withdrawn"
    elif cleared:
        text = f"Clock of device {device} is right again"
    else:
        text = f"Clock of device {device} runs ahead: its values are questionable. Set it"
    reason = Reason(kind="quality", since_ms=decision.onset_ms, text=text)
    return event_of(
        decision.kind, patient, f"device_clock:{device}", decision.onset_ms, decision.condition_ms, decision.at_ms,
        2 if cleared else 1, priority_of(decision.priority), lane_of("clock"), version, device=device, text=text,
        reasons=(reason,),
    )  # fmt: skip


def battery_event(decision: Decision, patient: str, device: str, rule: BatteryRule | None, version: int) -> AlarmEvent:
    """The event of a battery that is low, lower still, or charged again."""
    limit = None if rule is None else rule.critical if decision.critical else rule.limit
    if rule is None:
        text = f"Battery of device {device}: the rule was withdrawn"
    elif decision.kind is Kind.CLEARED:
        text, limit = f"Battery {decision.value:.0f} % again: device {device}", rule.limit + rule.clear_margin
    else:
        text = battery_text(device, decision.value)
    reason = Reason(
        kind="limit", metric="battery", value=None if rule is None else number(decision.value), limit=limit, unit="%",
        since_ms=decision.onset_ms, text=text,
    )  # fmt: skip
    return event_of(
        decision.kind, patient, f"battery_low:{device}", decision.onset_ms, decision.condition_ms, decision.at_ms,
        decision.number, priority_of(decision.priority), lane_of("battery"), version, device=device, metric="battery", text=text,
        reasons=(reason,),
    )  # fmt: skip


def fault_event(decision: FaultDecision, subject: str, priority: Priority, version: int) -> AlarmEvent:
    """The event of a processing fault. `subject`: the patient, or the group where nobody could tell whose data it was."""
    cleared = decision.kind is Kind.CLEARED
    whose = "data of this group" if is_group(subject) else "this patient's data"
    if cleared:
        text = f"Processing fault over: {whose} comes through again"
    else:
        text = f"Processing fault: {whose} is not being processed. Watch the bedside monitor"
    reason = Reason(
        kind="fault", since_ms=decision.onset_ms,
        text=text if cleared else f"{decision.room} failed on a record; the record is kept on vitals.rejected",
    )  # fmt: skip
    return event_of(
        decision.kind, subject, FAULT, decision.onset_ms, decision.onset_ms, decision.at_ms, 2 if cleared else 1,
        priority, lane_of("fault"), version, text=text, reasons=(reason,),
    )  # fmt: skip
