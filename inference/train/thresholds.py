"""Score thresholds for an alarm budget: alarms per patient-day, an alarm being followed by hours of refractory silence."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

BUDGETS: Final = (0.1, 0.25, 0.5, 1.0)
REFRACTORY_H: Final = 6
_HALVINGS: Final = 24
_HOUR_MS: Final = 3_600_000


def alarms(
    score: npt.NDArray[np.floating], patient: npt.NDArray[np.int32], time_ms: npt.NDArray[np.int64], threshold: float
) -> int:
    """How many alarms a threshold makes: one where a score reaches it and the patient's last alarm is 6 h old or more."""
    at = np.flatnonzero(score >= threshold)
    order = at[np.argsort(time_ms[at], kind="stable")]
    last = np.full(int(patient.max()) + 1 if len(patient) else 0, -(1 << 60), dtype=np.int64)
    count = 0
    times = time_ms[order]
    cuts = np.flatnonzero(np.diff(times)) + 1
    for rows in np.split(order, cuts):  # rows of one time: each patient at most once
        if len(rows) == 0:
            continue
        due = time_ms[rows] - last[patient[rows]] >= REFRACTORY_H * _HOUR_MS
        last[patient[rows[due]]] = time_ms[rows[due]]
        count += int(due.sum())
    return count


def for_budgets(
    score: npt.NDArray[np.floating], patient: npt.NDArray[np.int32], time_ms: npt.NDArray[np.int64]
) -> dict[str, float]:
    """The lowest threshold whose alarms keep within each of `BUDGETS`, by bisection over the quantiles of the score. Scores
    are hourly, so patient-days are rows / 24."""
    days = len(score) / 24
    ordered = np.sort(score.astype(np.float64))
    found = {}
    for budget in BUDGETS:
        low, high = 0, len(ordered) - 1  # `high` keeps the budget
        for _ in range(_HALVINGS):
            if high - low <= 1:
                break
            middle = (low + high) // 2
            if alarms(score, patient, time_ms, float(ordered[middle])) <= budget * days:
                high = middle
            else:
                low = middle
        found[f"{budget:g}"] = float(ordered[high])
    return found
