"""The room against the oracle, on random logs: the same alarms, to the millisecond."""

from __future__ import annotations

import pytest

from alerting.room import AlertRoom
from alerting.rules.load import shipped
from tests.alerting.oracle import what_happens
from tests.alerting.streams import QUICK, as_records, wandering
from tests.alerting.timeline import PARTITION, events, of_limits


@pytest.mark.parametrize("seed", range(30))
def test_quick_rules(seed: int) -> None:
    log = wandering(seed)
    expected = what_happens(log, QUICK)
    found = events(AlertRoom(PARTITION, {0: QUICK}).step(as_records(log)))
    told = sorted(
        (e.patient, e.condition, e.change.value, e.onset_ms, e.at_ms, e.priority.value)
        for e in of_limits(found)
    )
    assert told == expected
    assert len(expected) > 10, "a log without alarms proves nothing"


@pytest.mark.parametrize("seed", range(100, 106))
def test_shipped_rules(seed: int) -> None:
    log = wandering(seed, seconds=400)
    expected = what_happens(log, shipped())
    found = events(AlertRoom(PARTITION, {0: shipped()}).step(as_records(log)))
    told = sorted(
        (e.patient, e.condition, e.change.value, e.onset_ms, e.at_ms, e.priority.value)
        for e in of_limits(found)
    )
    assert told == expected


def test_every_change_is_met() -> None:
    changes = {(c, change) for seed in range(30) for _, c, change, *_ in what_happens(wandering(seed), QUICK)}
    assert {change for _, change in changes} == {"raised", "worsened", "cleared"}
    assert {"spo2_low", "heart_rate_low", "heart_rate_high", "systolic_bp_low", "glucose_high", "spo2_signal",
            "heart_rate_signal", "spo2_implausible", "systolic_bp_implausible"} == {c for c, _ in changes}
