"""Alarms at a budget: an alarm is followed by six hours of silence, and a threshold keeps within its budget."""

from __future__ import annotations

import numpy as np
import pytest

from inference.train.thresholds import BUDGETS, alarms, for_budgets

HOUR = 3_600_000


def test_six_hours_pass_between_two_alarms_of_a_patient() -> None:
    #  hour     0  1  2  3  4  5  6  7
    #  patient 0: high all along: alarms at 0 and 6; patient 1: high at 3 only
    time_ms = np.repeat(np.arange(8) * HOUR, 2)
    patient = np.tile(np.array([0, 1], dtype=np.int32), 8)
    score = np.where((patient == 0) | (time_ms == 3 * HOUR), 0.9, 0.1)
    assert alarms(score, patient, time_ms, 0.5) == 3
    assert alarms(score, patient, time_ms, 0.95) == 0
    assert alarms(score, patient, time_ms, 0.0) == 4


def test_a_score_that_is_missing_never_alarms() -> None:
    score = np.array([np.nan, 0.9])
    assert alarms(score, np.zeros(2, np.int32), np.array([0, HOUR]), 0.5) == 1


@pytest.mark.parametrize("seed", range(3))
def test_every_budget_is_kept_and_used(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hours, patients = 96, 100
    time_ms = np.repeat(np.arange(hours) * HOUR, patients)
    patient = np.tile(np.arange(patients, dtype=np.int32), hours)
    score = rng.random(len(patient))
    found = for_budgets(score, patient, time_ms)
    for budget in BUDGETS:
        came = alarms(score, patient, time_ms, found[f"{budget:g}"]) / (hours * patients / 24)
        assert 0.9 * budget <= came <= budget
    assert list(found.values()) == sorted(found.values(), reverse=True)
