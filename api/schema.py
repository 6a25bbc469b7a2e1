"""The JSON documents of the API: what every answer is made of, alarms, and errors.

Times are RFC 3339 texts in UTC; values are in the unit of the vitals catalogue. The WebSocket sends the same `Alarm` as the
REST calls. Documents of patients are in `patient_schema`, what people ask for in `alarm_requests`, frames in `live_schema`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.moments import rfc3339, rfc3339_or_none
from contracts.alarms import AlarmEvent as WireEvent
from contracts.alarms import Change, Lane, Priority, ReasonKind, State
from contracts.alarms import Reason as WireReason
from contracts.groups import is_group

if TYPE_CHECKING:  # a client that reads these documents brings no database
    from infra.runtime.sql.episodes import Alarm as StoredAlarm


class Answer(BaseModel):
    """What the API answers, or sends. A client is to ignore members that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class Body(BaseModel):
    """What is asked for, in a body. A member that is not known, or of another type, is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-01T10:00:00.000Z"])]


class Reason(Answer):
    """One fact behind an alarm."""

    kind: ReasonKind
    metric: str | None
    value: float | None
    limit: float | None
    unit: str | None
    since: Time | None
    text: str

    @classmethod
    def of(cls, reason: WireReason) -> Reason:
        return cls(
            kind=reason.kind,
            metric=reason.metric,
            value=reason.value,
            limit=reason.limit,
            unit=reason.unit,
            since=rfc3339_or_none(reason.since_ms),
            text=reason.text,
        )


def subject_of(key: str) -> Literal["patient", "group"]:
    """What the key of an alarm stands for."""
    return "group" if is_group(key) else "patient"


class Alarm(Answer):
    """An alarm as it stands. `version` counts its changes; `feed_seq` is the number of the newest recorded one.

    `onset`: when the condition began; `condition_time`: when it had held for its onset delay; `raised`: when the alarm
    was raised, or the tick at which it was found. `cleared`: when the condition ended; `resolved`: when the alarm was over;
    `closed`: when a person had reviewed it. An acknowledgement ends by itself at `acknowledged_until`. `snoozed_until`: nobody is
    called until then; it is no state, and null when there is no snooze. null: not yet, or not known. Only `active`,
    `acknowledged` and `latched` call somebody. `inhibited`: another alarm, named by a reason, stands for it; `retrospective`:
    found in data that came too late. `subject`: group, when no single patient is meant. `episode`: the deterioration it belongs
    to (`/api/v1/episodes`); null while SQL has not recorded it, and for what never called anybody.
    """

    id: str
    patient: str
    subject: Literal["patient", "group"]
    device: str | None
    condition: str
    rule_version: int
    lane: Lane
    priority: Priority
    metric: str | None
    text: str
    reasons: list[Reason]
    state: State
    version: int
    onset: Time
    condition_time: Time
    raised: Time | None
    cleared: Time | None
    resolved: Time | None
    acknowledged_by: str | None
    acknowledged_at: Time | None
    assigned_to: str | None
    snoozed_until: Time | None
    label: str | None
    feed_seq: int | None
    acknowledged_until: Time | None
    acknowledged_reason: str | None
    snoozed_by: str | None
    snoozed_reason: str | None
    labelled_by: str | None
    closed: Time | None
    closed_by: str | None
    episode: str | None

    @classmethod
    def of(cls, alarm: StoredAlarm) -> Alarm:
        """An alarm as SQL has it."""
        return cls(
            id=alarm.alarm_id,
            patient=alarm.patient,
            subject=subject_of(alarm.patient),
            device=alarm.device,
            condition=alarm.condition,
            rule_version=alarm.rule_version,
            lane=alarm.lane,
            priority=alarm.priority,
            metric=alarm.metric,
            text=alarm.text,
            reasons=[Reason.of(r) for r in alarm.reasons],
            state=alarm.state,
            version=alarm.version,
            onset=rfc3339(alarm.onset_ms),
            condition_time=rfc3339(alarm.condition_ms),
            raised=rfc3339(alarm.raised_ms),
            cleared=rfc3339_or_none(alarm.cleared_ms),
            resolved=rfc3339_or_none(alarm.resolved_ms),
            acknowledged_by=alarm.acknowledged_by,
            acknowledged_at=rfc3339_or_none(alarm.acknowledged_ms),
            assigned_to=alarm.assigned_to,
            snoozed_until=rfc3339_or_none(alarm.snoozed_until_ms),
            label=alarm.label,
            feed_seq=alarm.feed_seq,
            acknowledged_until=rfc3339_or_none(alarm.acknowledged_until_ms),
            acknowledged_reason=alarm.acknowledged_reason,
            snoozed_by=alarm.snoozed_by,
            snoozed_reason=alarm.snoozed_reason,
            labelled_by=alarm.labelled_by,
            closed=rfc3339_or_none(alarm.closed_ms),
            closed_by=alarm.closed_by,
            episode=alarm.episode_id,
        )


class AlarmEvent(Answer):
    """One change of an alarm."""

    event_id: str
    change: Change
    state: State
    version: int
    feed_seq: int | None
    at: Time
    priority: Priority
    text: str
    reasons: list[Reason]
    actor: str | None
    note: str | None
    to: str | None
    until: Time | None

    @classmethod
    def of(cls, event: WireEvent) -> AlarmEvent:
        return cls(
            event_id=event.event_id,
            change=event.change,
            state=event.state,
            version=event.alarm_version,
            feed_seq=event.feed_seq,
            at=rfc3339(event.at_ms),
            priority=event.priority,
            text=event.text,
            reasons=[Reason.of(r) for r in event.reasons],
            actor=event.actor,
            note=event.note,
            to=event.to,
            until=rfc3339_or_none(event.until_ms),
        )


class AlarmDetail(Alarm):
    """An alarm with everything that happened to it, oldest first."""

    events: list[AlarmEvent]


class Alarms(Answer):
    """A page of alarms, newest first; `next` is the cursor of the following page."""

    items: list[Alarm]
    next: str | None


class QuietPolicy(Answer):
    """How long people may keep an alarm quiet, in minutes by priority, what they may say that it was worth, and for how long they
    may take back what they did."""

    acknowledge_minutes: dict[Priority, int]
    snooze_minutes: dict[Priority, int]
    labels: list[str]
    undo_seconds: int


class HandedOver(Answer):
    """The alarms that `to` has taken over from `from`."""

    from_: str = Field(alias="from")
    to: str
    items: list[Alarm]


class Transition(Answer):
    """One change of an alarm. `sequence` is its number in the gap-free feed; `actor` is null where the system made it; `from`
    is null for the beginning."""

    sequence: int
    version: int
    time: Time
    change: Change
    actor: str | None
    reason: str | None
    from_: State | None = Field(alias="from")
    to: State
    priority: Priority
    text: str
    until: Time | None
    assigned_to: str | None
    label: str | None


class AlarmHistory(Answer):
    """Changes of one alarm, oldest first; `next` is the cursor of the following page."""

    items: list[Transition]
    next: str | None


KafkaState = Literal["ok", "away"]
CanaryState = Literal["starting", "ok", "late", "dead", "unknown"]


class System(Answer):
    """What this server is and how fresh its data is. `data_as_of`: the newest tick of the stream it has seen. `canary`: whether
    made-up readings come through the whole stream; `unknown`: nothing answers that should tell, null: nothing watches.
    `access` open: everybody at this machine is let in, without a log-in."""

    demo: bool
    server_time: Time
    data_as_of: Time | None
    kafka: KafkaState
    canary: CanaryState | None
    version: str
    notice: str
    access: Literal["open", "accounts"]


class ProblemDocument(Answer):
    """An error as RFC 9457 describes it. `type` is stable and for programs; `detail` says what failed, `fix` what to do; `errors`
    names the fields at fault."""

    type: str
    title: str
    status: int
    detail: str
    fix: str | None = None
    errors: list[FieldError] | None = None


class FieldError(Answer):
    """One part of a request that is not valid."""

    field: str
    reason: str
