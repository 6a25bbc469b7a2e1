"""One alarm as SQL keeps it, and what a change makes of it. Pure: the store reads a row, asks here, writes the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from contracts.alarms import AlarmEvent, Change, Lane, Priority, Reason, State
from contracts.errors import Fatal
from contracts.lifecycle import Refused, transition


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm with everything that happened to it so far. Times are milliseconds UTC.

    `version` counts its changes. `raised_ms`, `cleared_ms` are event time; `acknowledged_ms`, and `resolved_ms` where a
    person ended it, wall time. `priority`, `text` and `reasons` are those of the newest worsening or release;
    `raised_ms` is when it was first kept, and for one that was released when it was told. `called_ms`: when it first called
    somebody, None for one that never did. `first_acknowledged_ms` outlives the acknowledgement. `feed_seq` is the number of
    the newest change. `episode_id`: what it belongs to, None for one that never called anybody.
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
    acknowledged_until_ms: int | None = None
    acknowledged_reason: str | None = None
    first_acknowledged_ms: int | None = None
    snoozed_by: str | None = None
    snoozed_reason: str | None = None
    labelled_by: str | None = None
    closed_ms: int | None = None
    closed_by: str | None = None
    called_ms: int | None = None
    episode_id: str | None = None

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


_UNACKNOWLEDGED: Final[dict[str, Any]] = dict.fromkeys(
    ("acknowledged_by", "acknowledged_ms", "acknowledged_until_ms", "acknowledged_reason")
)
_NOT_SNOOZED: Final[dict[str, Any]] = dict.fromkeys(("snoozed_until_ms", "snoozed_by", "snoozed_reason"))


def advance(alarm: Alarm | None, event: AlarmEvent, feed_seq: int) -> Alarm | Refused:
    """`alarm` (None: it does not exist) after `event`, recorded under `feed_seq`; `Refused` when the life cycle forbids it.

    Only what happened is taken from `event`, its `state` and `alarm_version` are not: writers race, and the stored alarm
    may be further than the writer knew. A worsening, and an alarm of the opposite direction, end an acknowledgement and a
    snooze.
    """
    moved = transition(
        alarm.state if alarm else None, alarm.priority if alarm else event.priority, event.change, latches=event.latches
    )
    if isinstance(moved, Refused):
        return moved
    if alarm is None:
        return _born(event, moved.state, feed_seq)
    if (reason := _too_late(alarm, event)) is not None:
        return Refused(reason=reason)
    resolves = moved.state is State.RESOLVED and alarm.state is not State.RESOLVED
    alarm = replace(
        alarm,
        state=moved.state,
        version=alarm.version + 1,
        feed_seq=feed_seq,
        episode_id=event.episode_id or alarm.episode_id,
        resolved_ms=event.at_ms if resolves else alarm.resolved_ms,
    )
    return replace(alarm, **_facts(alarm, event))


def rebuilt(events: Iterable[AlarmEvent], at_ms: int | None = None) -> Alarm | None:
    """The alarm as its recorded events, in order, tell it: at the instant `at_ms`, or now; None before the first.

    The stream's changes carry event time and people's carry wall time, which runs a moment ahead of it. So a change counts as
    known from the latest time that stands on it or on any change before it: no instant knows a change without its past.
    """
    alarm: Alarm | None = None
    known_ms: int | None = None
    for event in events:
        known_ms = event.at_ms if known_ms is None else max(known_ms, event.at_ms)
        if at_ms is not None and known_ms > at_ms:
            break
        after = advance(alarm, event, event.feed_seq or 0)
        if isinstance(after, Refused):
            raise Fatal(
                "The recorded events of an alarm do not follow from each other.",
                cause=f"event {event.feed_seq}: {after.reason}",
                fix="restore the database from a backup",
            )
        alarm = after
    return alarm


def _born(event: AlarmEvent, state: State, feed_seq: int) -> Alarm:
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
        state=state,
        version=1,
        onset_ms=event.onset_ms,
        condition_ms=event.condition_ms,
        raised_ms=event.at_ms,
        called_ms=event.at_ms if event.change is Change.RAISED else None,
        episode_id=event.episode_id,
        feed_seq=feed_seq,
    )


def _too_late(alarm: Alarm, event: AlarmEvent) -> str | None:
    """Why what ends a quiet time does not fit this one: it names the end it means, and people may have given another since."""
    match event.change:
        case Change.LAPSED if event.until_ms != alarm.acknowledged_until_ms:
            return "it has been acknowledged anew"
        case Change.RESUMED if alarm.snoozed_until_ms is None or event.until_ms != alarm.snoozed_until_ms:
            return "it is not snoozed, or for longer"
        case Change.BROKEN if alarm.state is not State.ACKNOWLEDGED and alarm.snoozed_until_ms is None:
            return "nobody has made it quiet"
    return None


def _facts(alarm: Alarm, event: AlarmEvent) -> dict[str, Any]:
    """What `event` says about `alarm`, which has the new state already."""
    match event.change:
        case Change.WORSENED:
            return {
                "priority": event.priority, "text": event.text, "reasons": event.reasons, "rule_version": event.rule_version,
                "cleared_ms": None, **_UNACKNOWLEDGED, **_NOT_SNOOZED,
            }  # fmt: skip
        case Change.RELEASED:
            return {
                "priority": event.priority, "text": event.text, "reasons": event.reasons, "rule_version": event.rule_version,
                "raised_ms": event.at_ms, "called_ms": event.at_ms,
            }  # fmt: skip
        case Change.CLEARED:
            return {"cleared_ms": event.at_ms}
        case Change.ACKNOWLEDGED:
            first = alarm.first_acknowledged_ms
            return {
                "acknowledged_by": event.actor, "acknowledged_ms": event.at_ms, "acknowledged_reason": event.note,
                "acknowledged_until_ms": event.until_ms if alarm.state is State.ACKNOWLEDGED else None,
                "first_acknowledged_ms": event.at_ms if first is None else first,
            }  # fmt: skip
        case Change.SNOOZED:
            return {"snoozed_until_ms": event.until_ms, "snoozed_by": event.actor, "snoozed_reason": event.note}
        case Change.LAPSED if event.actor is not None and alarm.first_acknowledged_ms == alarm.acknowledged_ms:
            return _UNACKNOWLEDGED | {"first_acknowledged_ms": None}  # taken back: nobody has acknowledged it
        case Change.LAPSED:
            return _UNACKNOWLEDGED
        case Change.ESCALATED:
            return _UNACKNOWLEDGED | _NOT_SNOOZED
        case Change.RESUMED:
            return _NOT_SNOOZED
        case Change.BROKEN:
            return (_UNACKNOWLEDGED if alarm.state is State.ACTIVE else {}) | _NOT_SNOOZED
        case Change.ASSIGNED | Change.HANDED_OVER:
            return {"assigned_to": event.assignee}
        case Change.LABELLED:
            return {"label": event.note, "labelled_by": None if event.note is None else event.actor}
        case Change.CLOSED:
            return {"closed_ms": event.at_ms, "closed_by": event.actor}
        case _:
            return {}
