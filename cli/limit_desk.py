"""Limits for the API: alerting's rule sets behind the functions that the API asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from alerting.own_limits import with_own
from alerting.rules.load import parse, shipped
from alerting.rules.model import Direction, LimitRule, RuleSet
from alerting.rules.people import OwnLimit
from alerting.what_if import Count, Course, counts
from api.limit_desk import Bound, LimitDesk, Own, PatientLimit, StoredCourse, WouldAlarm
from infra.runtime.sql.rules import RuleVersion


def limit_desk() -> LimitDesk:
    """The desk of the API's process."""
    return LimitDesk(limits=_limits, patients=_patients, changed=_changed, what_if=_what_if)


def _rules(version: RuleVersion | None) -> RuleSet:
    return shipped() if version is None else parse(dict(version.document), version=version.number)


def _limits(version: RuleVersion | None, patient: str) -> list[PatientLimit]:
    rules = _rules(version)
    own = rules.patients.get(patient, {})
    return [_limit(rule, own.get(rule.id)) for rule in rules.usual(patient)]


def _patients(version: RuleVersion | None) -> list[str]:
    rules = _rules(version)
    in_units = (patient for patient, person in rules.people.items() if person.unit in rules.units)
    return sorted({*rules.patients, *in_units})


def _limit(rule: LimitRule, own: OwnLimit | None) -> PatientLimit:
    direction: Literal["low", "high"] = "low" if rule.direction is Direction.LOW else "high"
    return PatientLimit(
        rule=rule.id,
        metric=rule.metric,
        direction=direction,
        priority=rule.priority,
        critical_priority=rule.critical_priority,
        onset_s=rule.onset_s,
        critical_onset_s=rule.critical_onset_s,
        everybody=Bound(limit=rule.limit, critical=rule.critical),
        own=None if own is None else Bound(limit=own.limit, critical=own.critical),
    )


def _changed(version: RuleVersion | None, patient: str, own: Own) -> Mapping[str, Any]:
    return with_own(_rules(version), patient, _own(own)).model_dump(mode="json", exclude={"version"})


def _what_if(
    version: RuleVersion | None, patient: str, own: Own, courses: Sequence[StoredCourse], to_ms: int
) -> tuple[WouldAlarm, WouldAlarm]:
    rules = _rules(version)
    draft = with_own(rules, patient, _own(own)).patients.get(patient, {})
    stored = [Course(metric=c.metric, time_ms=c.time_ms, value=c.value, quality=c.quality) for c in courses]
    today, then = counts(rules, patient, draft, stored, to_ms=to_ms)
    return _would(today), _would(then)


def _would(count: Count) -> WouldAlarm:
    return WouldAlarm(
        alarms=count.alarms,
        by_priority={priority.value: number for priority, number in count.by_priority.items()},
        by_rule=count.by_rule,
    )


def _own(own: Own) -> dict[str, OwnLimit]:
    return {rule: OwnLimit(limit=bound.limit, critical=bound.critical) for rule, bound in own.items()}
