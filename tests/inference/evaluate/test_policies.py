"""The threshold at which a policy finds a share of the events, beside a walk through every threshold there is."""

from __future__ import annotations

import numpy as np
import pytest

from inference.evaluate.alarms import Grid, raise_alarms
from inference.evaluate.policies import POLICIES, found_at, highest_finding


def ward(seed: int, patients: int = 30, hours: int = 40) -> Grid:
    """Every third patient has an event and a score that rises towards it."""
    rng = np.random.default_rng(seed)
    event_h = np.where(np.arange(patients) % 3 == 0, rng.integers(13, hours, patients), np.nan)
    near = np.nan_to_num(1 - np.abs(event_h - np.arange(hours)[:, None]) / hours, nan=0.0)
    score = np.round(rng.random((hours, patients)) + near, 2)
    score[rng.random(score.shape) < 0.1] = np.nan
    return Grid(score=score, event_h=event_h, days=patients * hours / 24)


@pytest.mark.parametrize("policy", list(POLICIES))
@pytest.mark.parametrize("seed", range(2))
def test_the_highest_threshold_that_finds_the_share_is_taken(policy: str, seed: int) -> None:
    of, stages = ward(seed), POLICIES[policy]
    levels, share = found_at(of, stages)
    assert (np.diff(levels) < 0).all()
    walked = [float((raise_alarms(of, level, stages).true > 0).sum() / of.events.sum()) for level in levels.tolist()]
    assert share.tolist() == walked
    every = np.unique(of.score[:, of.events][~np.isnan(of.score[:, of.events])])
    assert levels.tolist() == every[::-1].tolist()
    for asked in (0.3, 0.5, max(walked)):
        chosen = highest_finding(levels, share, asked)
        assert chosen == next(level for level, finds in zip(levels, walked, strict=True) if finds >= asked)


def test_a_share_that_nothing_finds_has_no_threshold() -> None:
    of = ward(1)
    levels, share = found_at(of, POLICIES["6 h silence"])
    assert highest_finding(levels, share, 1.01) is None


def test_without_an_event_there_is_no_threshold() -> None:
    of = Grid(score=np.ones((5, 2)), event_h=np.full(2, np.nan), days=1.0)
    levels, share = found_at(of, POLICIES["6 h silence"])
    assert highest_finding(levels, share, 0.5) is None
