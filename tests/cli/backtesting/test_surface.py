"""Every threshold and delay at once: what studies found, and what the live rule would have done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alerting.rules.load import parse, shipped
from alerting.rules.model import LimitRule
from cli.backtesting.chain import Chain, Step
from cli.backtesting.outcome import Told, outcome
from cli.backtesting.sources import of_ward
from cli.backtesting.surface import Values, surface
from contracts.readings import EARLIEST_MS, Readings
from producers.sources.ward import Ward


def test_the_surface_of_the_simulated_ward_shows_what_studies_found() -> None:
    """Welch 2011: SpO2 limit 90 to 88, and a delay of 15 s, each remove more than half of the alarms. On values that the device
    itself calls good, as monitors alarm by."""
    rule = next(r for r in shipped().limits if r.id == "spo2_low").model_copy(update={"quality": "good"})
    whole, values = of_ward(200, 1.0, 1, "day", EARLIEST_MS), Values(rule)
    for step in whole.steps:
        values.add(step.readings)
    found = surface(values, rule, whole, thresholds=(88.0, 90.0), delays_s=(0.0, 15.0), filters=(1,))
    at = {(point.threshold, point.delay_s): point.alarms_per_patient_day for point in found.points}
    assert at[90.0, 0.0] > 2
    assert at[88.0, 0.0] < at[90.0, 0.0] / 2 > at[90.0, 15.0]


@pytest.mark.parametrize(("threshold", "delay_s"), [(90.0, 0.0), (88.0, 15.0), (92.0, 30.0)])
def test_a_point_of_the_surface_is_what_the_live_rule_would_have_done(
    ward: list[Readings], threshold: float, delay_s: float
) -> None:
    document = {"metric": "spo2", "direction": "low", "limit": threshold, "onset_s": delay_s, "critical": None}
    rules = parse({"limits": [document]}, version=0)
    rule, chain, told, values = rules.limits[0], Chain({"r": rules}, score=False), Told(), Values(rules.limits[0])
    for second, readings in enumerate(ward):
        told.add(chain.play(Step(readings=readings, tick_ms=EARLIEST_MS + 1000 * (second + 1)))["r"])
        values.add(readings)
    expected = sorted((a.patient, a.at_ms) for a in told.alarms)
    whole = of_ward(12, 120 / 3600, 3, "storm", EARLIEST_MS)
    others = surface(values, rule, whole, thresholds=(95.0, threshold), delays_s=(delay_s, 999.0), filters=(1,))
    point = next(p for p in others.points if (p.threshold, p.delay_s) == (threshold, delay_s))
    assert round(point.alarms_per_patient_day * whole.patient_days) == len(expected) > 0
    assert point.caught == outcome(told.alarms, whole).caught


def test_a_filter_forgets_a_single_stray_value() -> None:
    rule = LimitRule(metric="spo2", direction="low", limit=90, onset_s=0, max_gap_s=90, spot=False)
    calm = list(Ward(1, 1, "calm", EARLIEST_MS).seconds(40))
    values = Values(rule)
    for second, readings in enumerate(calm):
        values.add(replace(readings, value=readings.value * 0 + 70) if second == 20 else readings)
    found = surface(values, rule, of_ward(1, 24, 1, "calm", EARLIEST_MS), thresholds=(90.0,), delays_s=(0.0,), filters=(1, 5))
    assert [point.alarms_per_patient_day for point in found.points] == [1.0, 0.0]
