"""From short windows of the stream to rows for `HourFeatures`: the median of a minute stands for the minute.

Only windows that end on a whole minute are taken: windows overlap, and each second should count once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.windows import HOP_MS, SHORT_MS, Windows
from inference.features.layout import METRICS

COVERAGE: Final = 0.5  # of the values a minute should hold; below it the minute says nothing about this metric
_INSTEAD: Final = {"heart_rate": "pulse_rate"}  # measures the same heart; used where the first is missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Columns of equal length for `HourFeatures.update`; `row` is the index of the window a value came from."""

    row: npt.NDArray[np.intp]
    metric: npt.NDArray[np.intp]
    time_ms: npt.NDArray[np.int64]
    value: npt.NDArray[np.float32]


def phase_ms(partition: int) -> int:
    """How long after the clock's a partition's minutes end: each of the six hops of a minute has a share of the partitions.

    With everybody scored at the whole minute, two cores were full for seconds, and alarms waited.
    """
    return partition % (SHORT_MS // HOP_MS) * HOP_MS


def whole_minutes(windows: Windows, phase_ms: int = 0) -> npt.NDArray[np.bool_]:
    """Which windows are short and end a whole minute, `phase_ms` later than those of the clock."""
    return np.asarray((windows.span_ms == SHORT_MS) & (windows.window_end_ms % SHORT_MS == phase_ms))


def rows_of(windows: Windows, phase_ms: int = 0) -> Rows:
    """The usable values of `windows` that end a whole minute, oldest window first. A value belongs to the last
    millisecond of its window, which is half-open: the window that ends at 10:00 tells of the hour before."""
    wanted = whole_minutes(windows, phase_ms)
    row, metric, value = [], [], []
    for index, name in enumerate(METRICS):
        column, usable = _usable(windows, name)
        other = _INSTEAD.get(name)
        if other is not None:
            second, second_usable = _usable(windows, other)
            column = np.where(usable, column, second)
            usable = usable | second_usable
        at = np.flatnonzero(usable & wanted)
        row.append(at)
        metric.append(np.full(len(at), index, dtype=np.intp))
        value.append(column[at])
    rows = np.concatenate(row)
    order = np.argsort(windows.window_end_ms[rows], kind="stable")
    rows = rows[order]
    return Rows(
        row=rows,
        metric=np.concatenate(metric)[order],
        time_ms=windows.window_end_ms[rows] - 1,
        value=np.concatenate(value)[order].astype(np.float32),
    )


def _usable(windows: Windows, metric: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    value = windows.features.get(f"{metric}.median", windows.features.get(f"{metric}.mean"))
    coverage = windows.features.get(f"{metric}.coverage")
    if value is None or coverage is None:
        return np.full(len(windows), np.nan, dtype=np.float32), np.zeros(len(windows), dtype=np.bool_)
    return value, np.isfinite(value) & (coverage >= COVERAGE)
