"""Platt's calibration: probability = 1 / (1 + exp(-(slope * logit + intercept))), fitted on patients that trained nothing."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_STEPS: Final = 50
_ENOUGH: Final = 1e-9
_LEAST_SLOPE: Final = 1e-3


def platt(logits: npt.NDArray[np.float32], happened: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Slope and intercept by Newton's method, with Platt's (1999) softened targets so that a perfect separation stays finite.

    >>> slope, intercept = platt(np.array([-1, -1, -1, 1], np.float32), np.array([0, 0, 1, 1], np.float32))
    >>> slope > 0
    True
    """
    z = logits.astype(np.float64)
    positives = float(happened.sum())
    negatives = len(happened) - positives
    wanted = np.where(happened > 0.5, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    slope, intercept = 1.0, float(np.log((positives + 1) / (negatives + 1)) - z.mean())
    for _ in range(_STEPS):
        found = probability(z, slope, intercept)
        weight = np.maximum(found * (1 - found), 1e-12)
        off = found - wanted
        gradient = np.array([(off * z).sum(), off.sum()])
        curvature = np.array([[(weight * z * z).sum(), (weight * z).sum()], [(weight * z).sum(), weight.sum()]])
        change = np.linalg.solve(curvature + 1e-9 * np.eye(2), gradient)
        change *= min(
            1.0, 2.0 / max(float(np.abs(change).max()), 1e-300)
        )  # far from the answer Newton's step overshoots
        slope, intercept = slope - float(change[0]), intercept - float(change[1])
        if float(np.abs(change).max()) < _ENOUGH:
            break
    return max(slope, _LEAST_SLOPE), intercept


def probability(logits: npt.NDArray[np.floating], slope: float, intercept: float) -> Floats:
    """Calibrated, float64, never overflowing."""
    z = np.clip(slope * logits.astype(np.float64) + intercept, -60, 60)
    return np.asarray(1 / (1 + np.exp(-z)), dtype=np.float64)
