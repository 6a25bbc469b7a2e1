"""Some rows of a frame of windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from contracts.windows import Windows


def rows_where(windows: Windows, rows: npt.NDArray[np.bool_]) -> Windows:
    """The rows that `rows` names, in their order."""
    if rows.all():
        return windows
    return replace(
        windows,
        patient=windows.patient.take(rows),
        window_end_ms=windows.window_end_ms[rows],
        span_ms=windows.span_ms[rows],
        late=windows.late[rows],
        revised=windows.revised[rows],
        features={name: column[rows] for name, column in windows.features.items()},
    )
