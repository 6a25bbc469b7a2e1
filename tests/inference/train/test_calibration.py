"""Platt's calibration finds the line that made the outcomes, and stays finite where it cannot know."""

from __future__ import annotations

import numpy as np
import pytest

from inference.train.calibration import platt, probability


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, -3.0), (2.0, 1.0)])
def test_the_line_behind_the_outcomes_is_found(slope: float, intercept: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, 100_000).astype(np.float32)
    happened = (rng.random(len(logits)) < 1 / (1 + np.exp(-(slope * logits + intercept)))).astype(np.float32)
    found = platt(logits, happened)
    assert found == pytest.approx((slope, intercept), abs=0.06)
    assert probability(logits, *found).mean() == pytest.approx(happened.mean(), rel=0.01)


def test_a_perfect_separation_stays_finite_and_a_reversed_score_keeps_its_order() -> None:
    logits = np.array([-3, -2, 2, 3], dtype=np.float32)
    happened = np.array([0, 0, 1, 1], dtype=np.float32)
    slope, intercept = platt(logits, happened)
    assert np.isfinite([slope, intercept]).all()
    assert platt(-logits, happened)[0] > 0  # a slope below 0 would turn every alarm around in silence


def test_probabilities_stay_within_0_and_1() -> None:
    found = probability(np.array([-1e30, 0, 1e30], dtype=np.float32), 5.0, 0.0)
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert found[1] == 0.5
