"""Simulated batteries: they drain, are charged, and get low where the truth says; vital signs are the same with and without."""

from __future__ import annotations

import numpy as np
import pytest

from alerting.rules.load import shipped
from contracts.readings import concat
from contracts.vitals import BATTERY
from producers.sources.batteries import CHARGED, CRITICAL, LOW, Batteries
from producers.sources.expectations import OnsetDelays
from producers.sources.scenarios import SCENARIOS
from producers.sources.ward import Ward

START_MS = 1_767_225_600_000
DAY_S = 86_400


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_levels_drain_slowly_and_rise_on_the_charger(scenario: str) -> None:
    batteries = Batteries(40, 3, SCENARIOS[scenario])
    minutes = np.arange(0, 3 * DAY_S, 60)
    levels = np.array([batteries.level(minutes, bed) for bed in range(40)])
    assert levels.min() >= 0
    assert levels.max() <= 100
    steps = np.diff(levels, axis=1)
    assert steps.min() >= -2, "no battery falls by more than two percent in a minute"
    assert (steps.max(axis=1) > 0).all(), "every device is charged once in three days"


def test_a_battery_gets_low_in_the_story_and_where_one_was_forgotten_and_nowhere_else() -> None:
    for name, scenario in SCENARIOS.items():
        found = Batteries(200, 5, scenario).low(DAY_S)
        assert bool(found) == (name in ("demo", "day")), name
    story = Batteries(24, 5, SCENARIOS["demo"]).low(3600)
    assert [low.bed for low in story] == [story[0].bed]
    assert 200 <= story[0].start_s <= 320
    assert 300 < story[0].end_s - story[0].start_s < 1200
    assert story[0].critical_s is None
    rates = [len(Batteries(1000, seed, SCENARIOS["day"]).low(DAY_S)) / 1000 for seed in range(5)]
    assert 0.01 < np.mean(rates) < 0.03, "batteries that get low, a device and day"


def test_what_is_low_is_what_the_reports_say() -> None:
    batteries = Batteries(300, 2, SCENARIOS["day"])
    for low in batteries.low(DAY_S):
        assert low.bed in batteries.due(low.start_s)
        reports = np.arange(low.start_s, low.end_s, 60)
        levels = batteries.level(reports, low.bed)
        assert levels[0] <= LOW
        assert levels.max() < CHARGED <= batteries.level(low.end_s, low.bed)
        assert (low.critical_s is not None) == bool((levels <= CRITICAL).any())


def test_a_device_reports_once_a_minute_after_its_vital_signs() -> None:
    everything = list(Ward(50, 1, "calm", START_MS).seconds(60))
    found = concat(everything)
    battery = found.metric == BATTERY
    assert np.bincount(found.patient.codes[battery], minlength=50).tolist() == [1] * 50
    for second in everything:
        assert not (np.diff((second.metric == BATTERY).astype(int)) < 0).any(), "batteries come last"
    assert (found.device.codes == found.patient.codes).all()


def test_the_simulation_knows_the_shipped_rule() -> None:
    rule = shipped().battery
    assert rule is not None
    assert (rule.limit, rule.critical, rule.limit + rule.clear_margin) == (LOW, CRITICAL, CHARGED)
    assert rule.onset_s == OnsetDelays().battery_s
