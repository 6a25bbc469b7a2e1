"""One alarm as SQL keeps it, and what a change makes of it. Pure: the store reads a row, asks here, writes the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from contracts.alarms import AlarmEvent, Change, Lane, Priority, Reason, State
from contracts.lifecycle import Refused, transition


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm with everything that happened to it so far. Times are milliseconds UTC.

    `version` counts its changes. `raised_ms`, `cleared_ms` are event time; `acknowledged_ms`, and `resolved_ms` where a
    person closed it, wall time. `priority`, `text` and `reasons` are those of the newest worsening or release;
    `raised_ms` is when it was first kept, and for one that was released when it was told. `feed_seq` is the number of the
    newest change.
    """

    alarm_id: str
    patient: str
    device: str | None
    condition: str
    rule_version: int
    lane: Lane
    priority: Priority
    metric: str | None
    text: str
    reasons: tuple[Reason, ...]
    state: State
    version: int
    onset_ms: int
    condition_ms: int
    raised_ms: int
    cleared_ms: int | None = None
    resolved_ms: int | None = None
    acknowledged_by: str | None = None
    acknowledged_ms: int | None = None
    assigned_to: str | None = None
    snoozed_until_ms: int | None = None
    label: str | None = None
    feed_seq: int

    def row(self) -> dict[str, Any]:
        """The values of its columns."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        values.update(lane=self.lane.value, priority=self.priority.value, state=self.state.value)
        values["reasons"] = [reason.model_dump() for reason in self.reasons]
        return values

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Alarm:
        """The alarm whose columns `row` holds."""
        return cls(
            **{
                **row,
                "lane": Lane(row["lane"]),
                "priority": Priority(row["priority"]),
                "state": State(row["state"]),
                "reasons": tuple(Reason.model_validate(reason) for reason in row["reasons"]),
            }
        )


def advance(alarm: Alarm | None, event: AlarmEvent, feed_seq: int) -> Alarm | Refused:
    """`alarm` (None: it does not exist) after `event`, recorded under `feed_seq`; `Refused` when the life cycle forbids it.

    Only what happened is taken from `event`, its `state` and `alarm_version` are not: writers race, and the stored alarm
    may be further than the writer knew. A worsening ends an acknowledgement and a snooze.
    """
    moved = transition(alarm.state if alarm else None, alarm.priority if alarm else event.priority, event.change)
    if isinstance(moved, Refused):
        return moved
    if alarm is None:
        return Alarm(
            alarm_id=event.alarm_id,
            patient=event.patient,
            device=event.device,
            condition=event.condition,
            rule_version=event.rule_version,
            lane=event.lane,
            priority=event.priority,
            metric=event.metric,
            text=event.text,
            reasons=event.reasons,
            state=moved.state,
            version=1,
            onset_ms=event.onset_ms,
            condition_ms=event.condition_ms,
            raised_ms=event.at_ms,
            feed_seq=feed_seq,
        )
    resolves = moved.state is State.RESOLVED and alarm.state is not State.RESOLVED
    alarm = replace(
        alarm,
        state=moved.state,
        version=alarm.version + 1,
        feed_seq=feed_seq,
        resolved_ms=event.at_ms if resolves else alarm.resolved_ms,
    )
    match event.change:
        case Change.WORSENED:
            return replace(
                alarm,
                priority=event.priority,
                text=event.text,
                reasons=event.reasons,
                rule_version=event.rule_version,
                cleared_ms=None,
                acknowledged_by=None,
                acknowledged_ms=None,
                snoozed_until_ms=None,
            )
        case Change.RELEASED:
            return replace(
                alarm, priority=event.priority, text=event.text, reasons=event.reasons, rule_version=event.rule_version,
                raised_ms=event.at_ms,
            )  # fmt: skip
        case Change.CLEARED:
            return replace(alarm, cleared_ms=event.at_ms)
        case Change.ACKNOWLEDGED:
            return replace(alarm, acknowledged_by=event.actor, acknowledged_ms=event.at_ms)
        case Change.SNOOZED:
            return replace(alarm, snoozed_until_ms=event.until_ms)
        case Change.ASSIGNED:
            return replace(alarm, assigned_to=event.note)
        case Change.LABELLED:
            return replace(alarm, label=event.note)
        case _:
            return alarm
