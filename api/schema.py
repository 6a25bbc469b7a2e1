"""The JSON documents of the API: what it answers and what it accepts.

Times are RFC 3339 texts in UTC; values are in the unit of the vitals catalogue. Requests are strict: a number is not a
text, an unknown field is refused. The WebSocket sends the same `Alarm` and `Patient` as the REST calls.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from api.moments import rfc3339, rfc3339_or_none
from contracts.alarms import AlarmEvent as WireEvent
from contracts.alarms import Change, Lane, Priority, ReasonKind, State
from contracts.alarms import Reason as WireReason
from contracts.groups import is_group
from contracts.quiet import LONGEST
from contracts.scores import Status
from infra.runtime.sql.episodes import Alarm as StoredAlarm


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-01T10:00:00.000Z"])]


class QualityName(StrEnum):
    """What is known about a value. `bad` and `not_worn` come without a number."""

    GOOD = "good"
    QUESTIONABLE = "questionable"
    BAD = "bad"
    NOT_WORN = "not_worn"


class MetricLimits(_Answer):
    """Default alarm limits in the metric's unit; null: no limit."""

    low: float | None
    high: float | None
    critical_low: float | None
    critical_high: float | None


class Metric(_Answer):
    """One row of the vitals catalogue. A value older than `expiry_s` must not be shown as current."""

    name: str
    label: str
    loinc: str | None
    unit: str
    decimals: int
    expiry_s: float
    cadence_s: float
    limits: MetricLimits


class Metrics(_Answer):
    """The vitals catalogue."""

    items: list[Metric]


class LatestValue(_Answer):
    """The newest reading of one metric. `value` is null when its quality forbids showing it."""

    value: float | None
    time: Time
    quality: QualityName
    unit: str
    stale: bool


class Risk(_Answer):
    """The newest score of a patient. `score` is null unless `status` is ok: unknown is not normal."""

    score: float | None
    status: Status
    model: str
    version: str
    time: Time
    contributions: dict[str, float]
    deviations: dict[str, float]


class AlarmCounts(_Answer):
    """Open alarms of a patient by priority."""

    high: int
    medium: int
    low: int


class Patient(_Answer):
    """A patient with the newest values. Name, bed, unit, age and sex are null where the registry does not know them."""

    id: str
    name: str | None
    bed: str | None
    unit: str | None
    age: int | None
    sex: Literal["F", "M"] | None
    latest: dict[str, LatestValue]
    risk: Risk | None
    alarms: AlarmCounts


class PatientDetail(Patient):
    """A patient and the devices that are known to measure them."""

    devices: list[str]


class Patients(_Answer):
    """A page of patients in the order of their ids; `next` is the cursor of the following page."""

    items: list[Patient]
    next: str | None


class Point(_Answer):
    """A value at `t` (milliseconds UTC); `min` and `max` span what was merged into it, `q` is the worst quality."""

    t: int
    v: float | None
    min: float | None
    max: float | None
    q: int


class Series(_Answer):
    """The course of one metric."""

    metric: str
    unit: str
    from_: Time = Field(alias="from")
    to: Time
    points: list[Point]
    downsampled: bool


class ManySeries(_Answer):
    """The courses of several metrics, in the order asked for."""

    series: list[Series]


class Window(_Answer):
    """Statistics of one window. `features`: "metric.statistic" to number; what is unknown is left out."""

    window_end: Time
    span_s: float
    late: int
    revised: bool
    features: dict[str, float]


class Windows(_Answer):
    """Windows in the order of their end."""

    items: list[Window]


class Score(_Answer):
    """What one model said about one window."""

    window_end: Time
    model: str
    version: str
    score: float | None
    status: Status
    contributions: dict[str, float]
    deviations: dict[str, float]


class Scores(_Answer):
    """Scores in the order of their windows."""

    items: list[Score]


class Reason(_Answer):
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


class Alarm(_Answer):
    """An alarm as it stands. `version` counts its changes; `feed_seq` is the number of the newest recorded one.

    `onset`: when the condition began; `condition_time`: when it had held for its onset delay; `raised`: when the alarm
    was raised, or the tick at which it was found. `cleared`: when the condition ended; `resolved`: when the alarm was over;
    `closed`: when a person had reviewed it. An acknowledgement ends by itself at `acknowledged_until`. `snoozed_until`: nobody is
    called until then; it is no state, and null when there is no snooze. null: not yet, or not known. Only `active`,
    `acknowledged` and `latched` call somebody. `inhibited`: another alarm, named by a reason, stands for it; `retrospective`:
    found in data that came too late. `subject`: group, when no single patient is meant.
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
        )


class AlarmEvent(_Answer):
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


class Alarms(_Answer):
    """A page of alarms, newest first; `next` is the cursor of the following page."""

    items: list[Alarm]
    next: str | None


class System(_Answer):
    """What this server is and how fresh its data is. `data_as_of`: the newest tick of the stream it has seen. `canary`: whether
    made-up readings come through the whole stream; `unknown`: nothing answers that should tell, null: nothing watches.
    `access` open: everybody at this machine is let in, without a log-in."""

    demo: bool
    server_time: Time
    data_as_of: Time | None
    kafka: Literal["ok", "away"]
    canary: Literal["starting", "ok", "late", "dead", "unknown"] | None
    version: str
    notice: str
    access: Literal["open", "accounts"]


class ProblemDocument(_Answer):
    """An error as RFC 9457 describes it. `errors` names the fields at fault."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None


class FieldError(_Answer):
    """One part of a request that is not valid."""

    field: str
    reason: str


MOST_MINUTES: Final = max(LONGEST.values())
Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
PersonName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class _Reasoned(_Request):
    """Something done for a reason. `note` is an older name of `reason`."""

    reason: Note | None = None
    note: Note | None = None

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if self.reason is not None and self.note is not None:
            raise ValueError("give `reason` or `note`, not both: they mean the same")
        return self

    @property
    def said(self) -> str | None:
        """Why, in the person's words."""
        return self.reason if self.note is None else self.note


class Acknowledge(_Reasoned):
    """Seen, and taken care of. It holds for the time of its priority, or for `minutes` where that is less."""

    minutes: int | None = Field(None, ge=1, le=MOST_MINUTES)


class Resolve(_Reasoned):
    """Ended by a person; the reason says why."""


class Close(_Request):
    """Reviewed: nothing more is to be done about it."""

    reason: Note | None = None


class Snooze(_Request):
    """Quiet for a while, with a reason. The longest while depends on the priority."""

    minutes: int = Field(ge=1, le=MOST_MINUTES)
    reason: Note


class Assign(_Request):
    """Who looks after it."""

    to: PersonName
    reason: Note | None = None


class Label(_Request):
    """What the alarm was worth, for the people who tune the rules."""

    label: Literal["actionable", "false_alarm", "artefact"]


class AddNote(_Request):
    """Something to remember about it."""

    note: Note


class Handover(_Request):
    """Every open alarm of one person to another, as at the change of a shift."""

    from_: PersonName = Field(alias="from")
    to: PersonName
    reason: Note | None = None
