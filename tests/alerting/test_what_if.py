"""What other limits would have done: the same alarms as a room with every sample and a tick a second would have raised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.own_limits import with_own
from alerting.rules.load import shipped
from alerting.rules.model import RuleSet
from alerting.rules.people import OwnLimit, Person
from alerting.what_if import Course, counts
from contracts.alarms import Change, Priority
from contracts.errors import InvalidInput
from contracts.readings import Quality
from tests.alerting.timeline import ADA, T0, Sample, events, live, new_room

DRAFT = {"spo2_low": OwnLimit(limit=94, critical=86), "systolic_bp_low": OwnLimit(limit=100)}
# Runs of a value, as they come from a monitor (metric, value) or a cuff: how long, and how far apart.
RUNS = st.lists(
    st.tuples(st.sampled_from([97, 93, 89, 84, 79]), st.integers(1, 70), st.sampled_from([1, 1, 1, 40, 95])),
    min_size=1, max_size=7,
)  # fmt: skip
CUFFS = st.lists(st.tuples(st.sampled_from([121, 98, 92, 84]), st.integers(3, 700)), max_size=5)


def course(metric: str, samples: list[tuple[float, float]]) -> Course:
    return Course(
        metric=metric,
        time_ms=np.array([T0 + round(at * 1000) for at, _ in samples], dtype=np.int64),
        value=np.array([value for _, value in samples], dtype=np.float32),
        quality=np.zeros(len(samples), dtype=np.uint8),
    )


def told(rules: RuleSet, samples: list[Sample], until: float) -> dict[str, dict[Priority, int]]:
    """Alarms by rule and highest priority, as a room tells them that hears everything with a tick a second."""
    limits = RuleSet(limits=rules.limits, patients=rules.patients, review_late=False)
    found = {e.alarm_id: e for e in events(new_room(limits).step(live(samples, until=until)))
             if e.change in (Change.RAISED, Change.WORSENED)}  # fmt: skip
    by: dict[str, dict[Priority, int]] = {}
    for event in found.values():
        of_rule = by.setdefault(event.condition, {})
        of_rule[event.priority] = of_rule.get(event.priority, 0) + 1
    return by


@given(runs=RUNS, cuffs=CUFFS)
@settings(max_examples=12, deadline=None)
def test_few_samples_say_what_all_of_them_say(runs: list[tuple[int, int, int]], cuffs: list[tuple[int, int]]) -> None:
    spo2: list[tuple[float, float]] = []
    at = 1
    for value, length, apart in runs:
        for _ in range(max(1, length // apart)):
            spo2.append((at, value))
            at += apart
    pressure: list[tuple[float, float]] = []
    when = 1
    for value, apart in cuffs:
        pressure.append((when, value))
        when += apart
    until = max(at, when, 10)
    samples = [Sample(at=t, value=v) for t, v in spo2]
    samples += [Sample(at=t, value=v, metric="systolic_bp", device="cuff") for t, v in pressure]
    samples.sort(key=lambda s: s.at)
    rules = shipped()
    today, then = counts(
        rules, ADA, DRAFT, [course("spo2", spo2), course("systolic_bp", pressure)], to_ms=T0 + until * 1000
    )
    for count, limits in ((today, rules), (then, with_own(rules, ADA, DRAFT))):
        expected = told(limits, samples, until)
        assert dict(count.by_rule) == {rule: sum(some.values()) for rule, some in expected.items()}
        assert count.by_priority[Priority.HIGH] == sum(some.get(Priority.HIGH, 0) for some in expected.values())


def test_what_is_not_usable_and_what_is_missing_alarm_nobody() -> None:
    nothing = course("spo2", [])
    bad = course("spo2", [(at, 70.0) for at in range(60)])
    bad.quality[:] = Quality.NOT_WORN
    for courses in ([], [nothing], [bad]):
        today, then = counts(shipped(), ADA, DRAFT, courses, to_ms=T0 + 100_000)
        assert (today.alarms, then.alarms) == (0, 0)


def test_own_limits_are_checked_rule_by_rule() -> None:
    rules = shipped()
    changed = with_own(
        rules, ADA, {"spo2_low": OwnLimit(limit=86, critical=80), "heart_rate_high": OwnLimit(limit=120, critical=150)}
    )
    assert changed.patients == {ADA: {"spo2_low": OwnLimit(limit=86, critical=80)}}, (
        "as everybody's: not own"
    )
    assert with_own(changed, ADA, {}).patients == {}
    assert with_own(changed, "p-other", {"spo2_low": OwnLimit(limit=88)}).patients.keys() == {ADA, "p-other"}
    for own, field, reason in (
        ({"spo2_low": OwnLimit(limit=86, critical=88)}, "limits.spo2_low", "critical must lie below limit"),
        ({"spo2_low": OwnLimit(limit=10)}, "limits.spo2_low", "within 30 to 100 %"),
        ({"heart_rate_low": OwnLimit(limit=130)}, "limits.heart_rate_low", "contradict"),
        ({"mood_low": OwnLimit(limit=1)}, "limits.mood_low", "is no rule of limits"),
    ):
        with pytest.raises(InvalidInput) as caught:
            with_own(rules, ADA, own)
        assert caught.value.field == field
        assert reason in caught.value.reason


def test_where_a_patient_has_no_limit_of_their_own_that_of_the_unit_holds() -> None:
    of_unit = OwnLimit(limit=88, critical=80)
    rules = shipped().model_copy(
        update={"units": {"Ward A": {"spo2_low": of_unit}}, "people": {ADA: Person(unit="Ward A")}}
    )
    assert with_own(rules, ADA, {"spo2_low": of_unit}).patients == {}, "it says what the unit says"
    site = next(rule for rule in rules.limits if rule.id == "spo2_low")
    as_site = OwnLimit(limit=site.limit, critical=site.critical)
    assert with_own(rules, ADA, {"spo2_low": as_site}).patients == {ADA: {"spo2_low": as_site}}
    below_site = [course("spo2", [(at, 89.0) for at in range(120)])]
    today, then = counts(rules, ADA, {"spo2_low": as_site}, below_site, to_ms=T0 + 200_000)
    assert (today.alarms, then.alarms) == (0, 1)
