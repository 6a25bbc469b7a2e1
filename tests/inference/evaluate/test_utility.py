"""Utility of the 2019 challenge, against the sums done by hand from its definition."""

from __future__ import annotations

import numpy as np
import pytest

from inference.evaluate.utility import Worth, crossed, worth


def of(*patients: list[int]) -> Worth:
    """Each patient given by the labels of its hours."""
    label = np.array([y for p in patients for y in p], dtype=np.uint8)
    patient = np.repeat(np.arange(len(patients), dtype=np.int32), [len(p) for p in patients])
    hour = np.concatenate([np.arange(len(p)) for p in patients])
    return worth(patient, hour.astype(np.int64), label, len(patients))


# The label turns 1 at hour 10, so onset is hour 16; the best alarm is at hour 10.
SEPTIC = [0] * 10 + [1] * 11


@pytest.mark.parametrize(
    ("hour", "alarm", "silence"),
    [
        (0, -0.05, 0.0),  # 16 h before: too early, as a false alarm
        (3, -0.05, 0.0),  # 13 h before
        (4, 0.0, 0.0),  # 12 h before: the first that costs nothing
        (7, 0.5, 0.0),  # 9 h before: half way up
        (10, 1.0, 0.0),  # 6 h before
        (13, 2 / 3, -2 / 3),  # 3 h before
        (16, 1 / 3, -4 / 3),  # at onset
        (19, 0.0, -2.0),  # 3 h after
        (20, 0.0, 0.0),  # later nothing counts
    ],
)
def test_a_septic_patient_hour_by_hour(hour: int, alarm: float, silence: float) -> None:
    found = of(SEPTIC)
    assert found.alarm[hour] == pytest.approx(alarm)
    assert found.silence[hour] == pytest.approx(silence)


def test_a_patient_without_sepsis_costs_a_twentieth_an_alarm() -> None:
    found = of([0] * 5)
    assert found.alarm.tolist() == [-0.05] * 5
    assert found.silence.tolist() == [0.0] * 5


def test_a_patient_who_is_labelled_from_the_first_hour() -> None:
    """Onset is then hour 6 and the best alarm the first."""
    found = of([1] * 10)
    assert found.alarm[:10] == pytest.approx([1 - k / 9 for k in range(10)])
    assert found.silence[9] == pytest.approx(-2.0)


def test_never_is_0_and_the_ideal_is_1_and_always_is_worth_what_the_sums_say() -> None:
    found = of(SEPTIC, [0] * 20)
    none, ideal = np.zeros(41, dtype=np.bool_), found.ideal
    assert found.utility(none) == 0
    assert found.utility(ideal) == 1
    silence = sum(-2 / 9 * k for k in range(1, 10))
    best = sum(k / 6 for k in range(7)) + sum(1 - k / 9 for k in range(1, 10))
    always = best + 4 * -0.05 + 20 * -0.05
    assert found.utility(~none) == pytest.approx((always - silence) / (best - silence))
    assert ideal[:21].tolist() == [4 <= h <= 19 for h in range(21)]


def test_a_threshold_is_chosen_on_other_patients_than_it_is_judged_on() -> None:
    names = tuple(f"p{i}" for i in range(600))
    patients = [SEPTIC if i % 60 == 0 else [0] * 60 for i in range(600)]
    found = of(*patients)
    patient = np.repeat(np.arange(600, dtype=np.int32), [len(p) for p in patients])
    good = np.where(found.ideal, 1.0, 0.0)
    assert crossed(good, found, patient, names) == pytest.approx(1)
    chance = crossed(np.random.default_rng(1).random(len(patient)), found, patient, names)
    assert chance < 0.1
    assert crossed(np.full(len(patient), np.nan), found, patient, names) == 0
