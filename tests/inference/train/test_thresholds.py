"""Thresholds at a budget keep within it and use it; those for a share of the events find it."""

from __future__ import annotations

import numpy as np
import pytest

from inference.datasets.recording import NEVER_MS
from inference.evaluate.alarms import BUDGETS, Grid, laid_out, raise_alarms
from inference.evaluate.policies import POLICIES
from inference.train.thresholds import for_budgets, for_shares

HOUR = 3_600_000


@pytest.mark.parametrize("seed", range(3))
def test_every_budget_is_kept_and_used(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hours, patients = 96, 100
    time_ms = np.repeat(np.arange(hours) * HOUR, patients)
    patient = np.tile(np.arange(patients, dtype=np.int32), hours)
    score = rng.random(len(patient))
    score[rng.random(len(score)) < 0.1] = np.nan
    found = for_budgets(score, patient, time_ms)
    of = Grid(score=score.reshape(hours, patients), event_h=np.full(patients, np.nan), days=hours * patients / 24)
    for budget in BUDGETS:
        came = raise_alarms(of, found[f"{budget:g}"]).alarms.sum() / of.days
        assert 0.9 * budget <= came <= budget
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_where_one_hour_is_more_than_a_budget_the_highest_score_is_the_threshold() -> None:
    found = for_budgets(np.array([0.2, 0.9]), np.zeros(2, np.int32), np.array([0, HOUR]))
    assert found["0.1"] == 0.9


def test_every_share_of_the_events_is_found_by_its_threshold_under_its_policy() -> None:
    rng = np.random.default_rng(3)
    hours, patients = 48, 60
    time_ms = np.repeat(np.arange(hours, dtype=np.int64) * HOUR, patients)
    patient = np.tile(np.arange(patients, dtype=np.int32), hours)
    events = np.where(np.arange(patients) % 4 == 0, rng.integers(20, hours, patients) * HOUR, NEVER_MS)
    score = rng.random(len(patient))
    found = for_shares(score, patient, time_ms, events[patient])
    of = laid_out(score, patient, time_ms, events)
    assert list(found) == list(POLICIES)
    for name, stages in POLICIES.items():
        assert found[name]["0.8"] <= found[name]["0.5"]
        for share, threshold in found[name].items():
            alarms = raise_alarms(of, threshold, stages)
            assert (alarms.true > 0).sum() / of.events.sum() >= float(share)
