"""Expected alarms are worked out, so no event may leave it to the noise whether an alarm comes."""

from __future__ import annotations

import numpy as np
import pytest

from alerting.rules.load import shipped
from contracts.vitals import BY_NAME
from producers.sources.courses import COURSES, Planned, Ramps, Signal
from producers.sources.expectations import OnsetDelays, bounds, crossing
from producers.sources.physiology import METRICS, Physiology, Pull, baselines
from producers.sources.scenarios import SCENARIOS

PHYSIOLOGICAL = [c.kind for c in COURSES.values() if c.signal is Signal.WHOLE]


def planned(kind: str, rng: np.random.Generator, pace: float) -> Planned:
    course = COURSES[kind]
    durations = [round(pace * int(rng.integers(low, high + 1))) for low, high in (course.develop_s, course.recover_s)]
    return Planned(
        number=0,
        course=course,
        bed=0,
        start_s=0,
        develop_s=durations[0],
        hold_s=int(rng.integers(course.hold_s[0], course.hold_s[1] + 1)),
        recover_s=durations[1],
        levels=tuple(float(t.level + t.jitter * rng.uniform(-1, 1)) for t in course.targets),
    )


@pytest.mark.parametrize("kind", PHYSIOLOGICAL)
def test_a_limit_is_crossed_for_certain_or_not_at_all(kind: str) -> None:
    rng = np.random.default_rng(1)
    delays = OnsetDelays()
    for _ in range(60):
        base = baselines(rng.integers(19, 98, 1), rng)
        resting = Physiology(base, rng).resting
        pace = float(rng.choice([0.1, 1.0])) if COURSES[kind].slow else 1.0
        found = bounds(planned(kind, rng, pace), resting.slow_low[:, 0], resting.slow_high[:, 0])
        critical = 0
        for row, name in enumerate(METRICS):
            limits = BY_NAME[name].limits
            for side, limit, delay in (
                (-1, limits.low, delays.of(name)),
                (+1, limits.high, delays.of(name)),
                (-1, limits.critical_low, delays.critical_s),
                (+1, limits.critical_high, delays.critical_s),
            ):
                if limit is None:
                    continue
                seen = crossing(found, row, limit, side)
                if seen.longest_possible < max(4, delay - 4):
                    continue  # too short for an alarm, whatever the noise does
                assert seen.sure is not None, (name, limit)
                assert seen.sure_end is not None
                assert seen.sure_end - seen.sure > delay + 5, (name, limit)
                if limit in (limits.critical_low, limits.critical_high):
                    critical += 1
                    assert seen.sure_end - seen.sure >= 60, "critical events last"
        assert (critical > 0) == COURSES[kind].critical


@pytest.mark.parametrize("kind", PHYSIOLOGICAL)
def test_simulated_values_stay_within_the_bounds(kind: str) -> None:
    rng = np.random.default_rng(2)
    beds = 200
    body = Physiology(baselines(rng.integers(19, 98, beds), rng), rng)
    event = planned(kind, rng, 0.1 if COURSES[kind].slow else 1.0)
    ramps = Ramps.still(beds)
    for bed in range(beds):
        ramps.place(bed, event)
    resting = body.resting
    found = [bounds(event, resting.slow_low[:, bed], resting.slow_high[:, bed]) for bed in range(beds)]
    low, high = np.stack([b.low for b in found], axis=2), np.stack([b.high for b in found], axis=2)
    tolerance = np.array([[0.01]] * 8, dtype=np.float32)
    # An oximeter remembers the seconds before the event; let it see a resting patient first.
    for second in range(-20, 0):
        body.step(second + 86_400)
    for second in range(low.shape[1]):
        pull = Pull(beds=np.arange(beds), weight=ramps.weight(float(second)), level=ramps.level)
        values = body.step(second + 86_400, pull)
        assert (values >= low[:, second] - tolerance).all()
        assert (values <= high[:, second] + tolerance).all()


def test_default_delays_and_priorities_are_those_of_the_shipped() -> None:
    rules, delays = shipped(), OnsetDelays()
    for rule in rules.limits:
        if rule.metric in METRICS:
            assert rule.onset_s == delays.of(rule.metric), rule.id
            assert rule.critical_onset_s == delays.critical_s, rule.id
            vital = BY_NAME[rule.metric].limits
            assert rule.limit == (vital.low if rule.id.endswith("_low") else vital.high)
    assert rules.signal is not None
    assert (rules.signal.onset_s, rules.signal.priority) == (delays.signal_s, "low")
    assert rules.silence is not None
    assert (rules.silence.after_s, rules.silence.priority) == (delays.silence_s, "medium")
    assert rules.missing is not None
    assert (rules.missing.after_s, rules.missing.priority) == (delays.missing_s, "low")


def test_every_scenario_names_known_kinds() -> None:
    for scenario in SCENARIOS.values():
        assert {kind for kind, _ in scenario.kinds} | {o.kind for o in scenario.opening} <= COURSES.keys()
