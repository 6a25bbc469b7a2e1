"""Score thresholds for an alarm budget, and for a share of the events to be found, on patients that trained nothing: alarms per
patient-day, each followed by six hours of silence, as `vigil evaluate` counts them, or as another policy has it."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from inference.datasets.recording import NEVER_MS
from inference.evaluate.alarms import BUDGETS, laid_out, threshold_for
from inference.evaluate.policies import POLICIES, found_at, highest_finding

Longs = npt.NDArray[np.int64]
_SHARES: Final = tuple(k / 200 for k in range(100, 200))  # 50 to 99.5 % of the events, by half a percent


def for_budgets(score: npt.NDArray[np.floating], patient: npt.NDArray[np.int32], time_ms: Longs) -> dict[str, float]:
    """The lowest threshold whose alarms keep within each of `BUDGETS`, at most the highest score. Rows are a patient's hours."""
    nobody = np.full(int(patient.max()) + 1, NEVER_MS, dtype=np.int64)
    of = laid_out(score.astype(np.float64), patient, time_ms, nobody)
    return {f"{budget:g}": min(threshold_for(of, budget), float(np.nanmax(of.score))) for budget in BUDGETS}


def for_shares(
    score: npt.NDArray[np.floating], patient: npt.NDArray[np.int32], time_ms: Longs, event_ms: Longs
) -> dict[str, dict[str, float]]:
    """By policy and share of the events ("0.85"): the highest threshold that finds it; shares that none finds are left out.
    `event_ms`: of the patient of each row, `NEVER_MS` without an event."""
    events = np.full(int(patient.max()) + 1, NEVER_MS, dtype=np.int64)
    events[patient] = event_ms
    of = laid_out(score.astype(np.float64), patient, time_ms, events)
    found: dict[str, dict[str, float]] = {}
    for name, stages in POLICIES.items():
        levels, share = found_at(of, stages)
        highest = {f"{asked:g}": highest_finding(levels, share, asked) for asked in _SHARES}
        found[name] = {asked: level for asked, level in highest.items() if level is not None}
    return found
