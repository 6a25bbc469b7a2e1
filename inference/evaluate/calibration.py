"""Whether a probability means what it says: slope and intercept, Brier score, expected calibration error by decile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

_LIMIT: Final = 1e-6
_STEPS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """`slope` 1 and `intercept` 0 are perfect: below 1 the score is too sure, an intercept above 0 says too little risk.
    `deciles`: mean probability said, share that happened, and rows, of each tenth of the rows by probability."""

    slope: float
    intercept: float
    brier: float
    brier_of_prevalence: float
    ece: float
    deciles: tuple[tuple[float, float, int], ...]


def calibration(probability: Doubles, label: npt.NDArray[np.uint8]) -> Calibration | None:
    """Of the rows that have a probability; None where they are not of both kinds."""
    known = ~np.isnan(probability)
    p, y = np.clip(probability[known], _LIMIT, 1 - _LIMIT), label[known].astype(np.float64)
    if not 0 < y.sum() < len(y):
        return None
    slope, intercept = logistic(np.log(p / (1 - p)), y)
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, 10) if len(part)]
    deciles = tuple((float(p[part].mean()), float(y[part].mean()), len(part)) for part in parts)
    return Calibration(
        slope=slope,
        intercept=intercept,
        brier=float(np.mean((p - y) ** 2)),
        brier_of_prevalence=float(y.mean() * (1 - y.mean())),
        ece=sum(abs(said - happened) * rows for said, happened, rows in deciles) / len(p),
        deciles=deciles,
    )


def logistic(x: Doubles, y: Doubles) -> tuple[float, float]:
    """Slope and intercept of the logistic regression of y, between 0 and 1, on x, by Newton's method."""
    rate = float(y.mean())
    slope, intercept = 0.0, float(np.log(rate / (1 - rate)))
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(slope * x + intercept, -60, 60)))
        w = np.maximum(p * (1 - p), 1e-12)
        gradient = np.array([np.sum((y - p) * x), np.sum(y - p)])
        hessian = np.array([[np.sum(w * x * x), np.sum(w * x)], [np.sum(w * x), np.sum(w)]]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))  # far from the answer a whole step overshoots
        slope, intercept = slope + float(step[0]), intercept + float(step[1])
        if np.abs(step).max() < 1e-9:
            break
    return slope, intercept
