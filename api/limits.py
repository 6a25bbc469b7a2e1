"""REST: the alarm limits of one patient, changed with author and reason, and tried out on what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

import numpy as np
from fastapi import APIRouter, Response
from pydantic import Field

from api.alarm_requests import Note
from api.asking import DAY_MS, JSON_ONLY, Actor, TheNode, problems
from api.limit_desk import Bound, LimitDesk, PatientLimit, StoredCourse, WouldAlarm
from api.moments import rfc3339
from api.node import Node
from api.patient_schema import MetricLimits
from api.patients import PatientKey, need
from api.permit import ThePermit
from api.problems import Problem
from api.schema import Answer, Body, Time
from api.versions import IfMatch, etag, version_asked
from contracts.vitals import BY_NAME
from infra.runtime.series import SeriesStore
from infra.runtime.sql.rules import Outdated, RuleVersion

LOOK_BACK_MS: Final = DAY_MS
MOST_RULES: Final = 100

router = APIRouter(prefix="/api/v1", tags=["limits"], dependencies=[JSON_ONLY])
_OF_PATIENT: Final = "/patients/{patient}/limits"


class Limit(Answer):
    """An alarm limit in the metric's unit; a value at it is fine. `critical`: the one of high priority beyond it; null: none."""

    limit: float
    critical: float | None


class LimitOfPatient(Answer):
    """One rule: everybody's limit, and the patient's own in its place; null: everybody's holds. `lowest`, `highest`: what the
    metric can be."""

    rule: str
    metric: str
    label: str
    unit: str
    decimals: int
    direction: Literal["low", "high"]
    priority: str
    critical_priority: str
    onset_s: float
    critical_onset_s: float
    lowest: float
    highest: float
    everybody: Limit
    own: Limit | None


class Limits(Answer):
    """The limits of a patient in the version in force; 0 is what ships. `author`, `reason`, `at`: of that version, whoever it was
    about; null for version 0."""

    patient: str
    version: int
    author: str | None
    reason: str | None
    at: Time | None
    items: list[LimitOfPatient]


class LimitsInForce(Answer):
    """The alarm limits that hold, by metric; one that is not named has none. `patients`: of those with limits of their own, the
    metrics in which they differ."""

    version: int
    everybody: dict[str, MetricLimits]
    patients: dict[str, dict[str, MetricLimits]]


class OwnLimit(Body):
    """A patient's own limit. Without `critical` there is no limit of high priority."""

    limit: float
    critical: float | None = None


class DraftLimits(Body):
    """Exactly these own limits, by name of the rule; a rule that is not named has everybody's."""

    limits: dict[Annotated[str, Field(max_length=80)], OwnLimit] = Field(max_length=MOST_RULES)


class ChangeLimits(DraftLimits):
    """A change, with its reason: it is kept with the version for ever."""

    reason: Note


class AlarmCount(Answer):
    """How often limits would have called somebody. `by_rule`: a rule without an alarm is left out."""

    alarms: int
    by_priority: dict[str, int]
    by_rule: dict[str, int]

    @classmethod
    def of(cls, would: WouldAlarm) -> AlarmCount:
        return cls(alarms=would.alarms, by_priority=dict(would.by_priority), by_rule=dict(would.by_rule))


class Preview(Answer):
    """What the limits in force and the draft would have done with what was stored of the last day. `hours`: for how long any of
    the metrics with limits was measured."""

    from_: Time = Field(alias="from")
    to: Time
    hours: float
    version: int
    in_force: AlarmCount
    draft: AlarmCount


@router.get("/limits", responses=problems(503))
async def limits_in_force(node: TheNode, permit: ThePermit) -> LimitsInForce:
    """What is beyond a limit for whom: for screens that show many patients."""
    desk = _desk(node)
    version = await node.stores.rules(lambda s: s.current())
    everybody = _by_metric(desk.limits(version, ""))
    own, shown = {}, node.gate.patients_of(permit.theirs)
    for patient in desk.patients(version):
        if node.ward.knows(patient) and (shown is None or patient in shown):
            theirs = _by_metric(desk.limits(version, patient))
            own[patient] = {metric: bounds for metric, bounds in theirs.items() if bounds != everybody[metric]}
    return LimitsInForce(version=0 if version is None else version.number, everybody=everybody, patients=own)


@router.get(_OF_PATIENT, responses=problems(404, 503))
async def limits(node: TheNode, patient: PatientKey, response: Response) -> Limits:
    """The limits of a patient, everybody's and own. The ETag is the version of the rules, for `If-Match`."""
    need(node, patient)
    desk = _desk(node)
    version = await node.stores.rules(lambda s: s.current())
    return _shown(patient, version, desk.limits(version, patient), response)


@router.put(_OF_PATIENT, responses=problems(400, 404, 412, 415, 422, 503))
async def change_limits(
    node: TheNode, actor: Actor, patient: PatientKey, body: ChangeLimits, response: Response, if_match: IfMatch = None
) -> Limits:
    """Give the patient exactly these own limits, as the next version of the rules. Workers change over with the next ticks."""
    need(node, patient)
    desk, asked, now_ms = _desk(node), version_asked(if_match), node.clock.now_ms()
    own = _own(body.limits)
    while True:
        before = await node.stores.rules(lambda s: s.current())
        number = 0 if before is None else before.number
        if asked is not None and asked != number:
            raise Problem(
                412,
                "rules-changed",
                f"The rules have changed: version {number} is in force now. Look at the limits again.",
                headers={"ETag": etag(number)},
            )
        document = desk.changed(before, patient, own)
        added = await node.stores.rules(
            lambda s, document=document, number=number: s.add(  # type: ignore[misc]
                document, author=actor, reason=body.reason, at_ms=now_ms, expected=number
            )
        )
        if not isinstance(added, Outdated):
            return _shown(patient, added, desk.limits(added, patient), response)


@router.post(f"{_OF_PATIENT}/preview", responses=problems(400, 404, 415, 422, 503))
async def preview(node: TheNode, patient: PatientKey, body: DraftLimits) -> Preview:
    """How often these limits would have alarmed in the last 24 hours, beside those in force; through the code that runs live."""
    need(node, patient)
    desk, to_ms = _desk(node), node.clock.now_ms()
    from_ms = to_ms - LOOK_BACK_MS
    version = await node.stores.rules(lambda s: s.current())
    own = _own(body.limits)
    desk.changed(version, patient, own)  # what is wrong with them is said before a day is read
    metrics = sorted({limit.metric for limit in desk.limits(version, patient)})
    courses = await node.history.ask(lambda store: _courses(store, patient, metrics, from_ms, to_ms))
    today, then = await node.trials.ask(lambda: desk.what_if(version, patient, own, courses, to_ms))
    return Preview(
        from_=rfc3339(from_ms), to=rfc3339(to_ms), hours=_hours(courses), version=0 if version is None else version.number,
        in_force=AlarmCount.of(today), draft=AlarmCount.of(then),
    )  # fmt: skip


def _desk(node: Node) -> LimitDesk:
    if node.desk is None:
        raise Problem(
            503, "no-rules", "This server was started without the rules. Start it with `vigil up` or `vigil run api`."
        )
    return node.desk


def _own(given: Mapping[str, OwnLimit]) -> dict[str, Bound]:
    return {rule: Bound(limit=own.limit, critical=own.critical) for rule, own in given.items()}


def _shown(patient: str, version: RuleVersion | None, found: Sequence[PatientLimit], response: Response) -> Limits:
    number = 0 if version is None else version.number
    response.headers["ETag"] = etag(number)
    return Limits(
        patient=patient,
        version=number,
        author=None if version is None else version.author,
        reason=None if version is None else version.reason,
        at=None if version is None else rfc3339(version.at_ms),
        items=[_item(limit) for limit in found],
    )


def _by_metric(found: Sequence[PatientLimit]) -> dict[str, MetricLimits]:
    """The bounds of each metric: a patient's own where there are any, else everybody's."""
    sides: dict[str, dict[str, float | None]] = {}
    for limit in found:
        bound = limit.everybody if limit.own is None else limit.own
        of_metric = sides.setdefault(limit.metric, {"low": None, "high": None, "critical_low": None, "critical_high": None})
        of_metric[limit.direction], of_metric[f"critical_{limit.direction}"] = bound.limit, bound.critical
    return {metric: MetricLimits(**of_metric) for metric, of_metric in sides.items()}


def _item(found: PatientLimit) -> LimitOfPatient:
    vital = BY_NAME[found.metric]
    return LimitOfPatient(
        rule=found.rule,
        metric=found.metric,
        label=vital.label,
        unit=vital.unit,
        decimals=vital.decimals,
        direction=found.direction,
        priority=found.priority,
        critical_priority=found.critical_priority,
        onset_s=found.onset_s,
        critical_onset_s=found.critical_onset_s,
        lowest=vital.hard_low,
        highest=vital.hard_high,
        everybody=_limit(found.everybody),
        own=None if found.own is None else _limit(found.own),
    )


def _limit(bound: Bound) -> Limit:
    return Limit(limit=bound.limit, critical=bound.critical)


def _courses(store: SeriesStore, patient: str, metrics: Sequence[str], from_ms: int, to_ms: int) -> list[StoredCourse]:
    """Every stored second of these metrics: as many points as there are seconds, so that nothing is merged."""
    seconds = (to_ms - from_ms) // 1000 + 1
    found = ((metric, store.query(patient, metric, from_ms, to_ms, seconds)) for metric in metrics)
    return [StoredCourse(metric=m, time_ms=p.time_ms, value=p.value, quality=p.quality) for m, p in found if len(p)]


def _hours(courses: Sequence[StoredCourse]) -> float:
    """For how long anything was measured, by the minute."""
    minutes = {minute for course in courses for minute in np.unique(course.time_ms // 60_000).tolist()}
    return round(len(minutes) / 60, 2)
