"""Platt's calibration: probability = 1 / (1 + exp(-(slope * logit + intercept))), fitted on patients that trained nothing."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from inference.evaluate.calibration import logistic

Floats = npt.NDArray[np.float64]
_LEAST_SLOPE: Final = 1e-3


def platt(logits: npt.NDArray[np.float32], happened: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Slope and intercept with Platt's (1999) softened targets so that a perfect separation stays finite.

    >>> slope, intercept = platt(np.array([-1, -1, -1, 1], np.float32), np.array([0, 0, 1, 1], np.float32))
    >>> slope > 0
    True
    """
    positives = float(happened.sum())
    negatives = len(happened) - positives
    wanted = np.where(happened > 0.5, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    slope, intercept = logistic(logits.astype(np.float64), wanted)
    return max(slope, _LEAST_SLOPE), intercept


def probability(logits: npt.NDArray[np.floating], slope: float, intercept: float) -> Floats:
    """Calibrated, float64, never overflowing."""
    z = np.clip(slope * logits.astype(np.float64) + intercept, -60, 60)
    return np.asarray(1 / (1 + np.exp(-z)), dtype=np.float64)
