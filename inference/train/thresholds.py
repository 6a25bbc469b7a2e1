"""Score thresholds for an alarm budget, on patients that trained nothing: alarms per patient-day, each followed by six hours of
silence, as `vigil evaluate` counts them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inference.datasets.recording import NEVER_MS
from inference.evaluate.alarms import BUDGETS, laid_out, threshold_for


def for_budgets(
    score: npt.NDArray[np.floating], patient: npt.NDArray[np.int32], time_ms: npt.NDArray[np.int64]
) -> dict[str, float]:
    """The lowest threshold whose alarms keep within each of `BUDGETS`, at most the highest score. Rows are a patient's hours."""
    nobody = np.full(int(patient.max()) + 1, NEVER_MS, dtype=np.int64)
    of = laid_out(score.astype(np.float64), patient, time_ms, nobody)
    return {f"{budget:g}": min(threshold_for(of, budget), float(np.nanmax(of.score))) for budget in BUDGETS}
