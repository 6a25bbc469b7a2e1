"""Calibration: probabilities that mean what they say have slope 1 and intercept 0, and others show how they are off."""

from __future__ import annotations

import numpy as np
import pytest

from inference.evaluate.calibration import calibration

RNG = np.random.default_rng(0)
LOGIT = RNG.normal(-2, 1.5, 60_000)
HAPPENED = (RNG.random(60_000) < 1 / (1 + np.exp(-LOGIT))).astype(np.uint8)


def probability(logit: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-logit)))


@pytest.mark.parametrize(
    ("said", "slope", "intercept"),
    [(LOGIT, 1.0, 0.0), (2 * LOGIT, 0.5, 0.0), (LOGIT - 1, 1.0, 1.0)],
    ids=["right", "too sure", "too low"],
)
def test_slope_and_intercept(said: np.typing.NDArray[np.float64], slope: float, intercept: float) -> None:
    found = calibration(probability(said), HAPPENED)
    assert found is not None
    assert found.slope == pytest.approx(slope, abs=0.05)
    assert found.intercept == pytest.approx(intercept, abs=0.07)


def test_right_probabilities_have_a_small_error_and_beat_the_prevalence() -> None:
    found = calibration(probability(LOGIT), HAPPENED)
    off = calibration(probability(LOGIT + 1), HAPPENED)
    assert found is not None
    assert off is not None
    assert found.ece < 0.01 < off.ece
    assert found.brier < found.brier_of_prevalence
    assert sum(rows for _, _, rows in found.deciles) == 60_000


def test_rows_without_a_probability_are_left_out_and_one_class_says_nothing() -> None:
    said = probability(LOGIT).copy()
    said[::2] = np.nan
    found = calibration(said, HAPPENED)
    assert found is not None
    assert sum(rows for _, _, rows in found.deciles) == 30_000
    assert calibration(np.array([0.5, 0.6]), np.array([1, 1], dtype=np.uint8)) is None
