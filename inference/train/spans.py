"""Features of patients who are scored once: the course of every metric in spans of hours before that moment.

For offline models only, beside `series`: what happened in the last hours, in the day, and in the day before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from inference.datasets.recording import HOUR_MS, Recording

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

SPANS_H: Final = ((0, 6), (0, 12), (0, 24), (24, 48))
"""Hours before the moment, from and to."""
PARTS: Final = ("mean", "min", "max", "count")
"""Of the values in a span; `count` is 0 where there is none, the others NaN."""
WHOLE: Final = ("median", "slope")
"""Of all values: NaN without any, `slope` (unit an hour, least squares) without three at different times."""


def spans_table(recording: Recording, metrics: Sequence[str]) -> tuple[tuple[str, ...], Floats]:
    """Names and a table of shape (moments, names): what had been received by each moment. A patient has one moment."""
    moments, values = recording.moments, recording.values
    row = np.full(len(recording.patients), -1, dtype=np.intp)
    row[moments.patient] = np.arange(len(moments))
    at = row[values.patient]
    kept = np.flatnonzero((at >= 0) & (values.received_ms <= moments.time_ms[at]))
    at, metric, value = at[kept], values.metric[kept], values.value[kept].astype(np.float64)
    ago_h = (moments.time_ms[at] - values.time_ms[kept]) / HOUR_MS
    names, columns = [], []
    for name in metrics:
        mine = metric == recording.metrics.index(name)
        one, hours, said = at[mine], ago_h[mine], value[mine]
        for low, high in SPANS_H:
            some = (hours >= low) & (hours < high)
            columns += _of_span(one[some], said[some], len(moments))
            names += [f"{name}.{part}_{low}_{high}h" for part in PARTS]
        columns += [_median(one, said, len(moments)), _slope(one, -hours, said, len(moments))]
        names += [f"{name}.{part}" for part in WHOLE]
    return tuple(names), np.stack(columns, axis=1).astype(np.float32)


def _of_span(at: npt.NDArray[np.intp], value: Doubles, rows: int) -> list[Doubles]:
    count = np.bincount(at, minlength=rows).astype(np.float64)
    least, most = np.full(rows, np.inf), np.full(rows, -np.inf)
    np.minimum.at(least, at, value)
    np.maximum.at(most, at, value)
    there = count > 0
    mean = np.bincount(at, value, rows) / np.maximum(count, 1)
    return [*(np.where(there, part, np.nan) for part in (mean, least, most)), count]


def _median(at: npt.NDArray[np.intp], value: Doubles, rows: int) -> Doubles:
    order = np.lexsort((value, at))
    ordered, first = value[order], np.searchsorted(at[order], np.arange(rows))
    count = np.bincount(at, minlength=rows)
    found = np.full(rows, np.nan)
    there = count > 0
    low, high = first + (count - 1) // 2, first + count // 2
    found[there] = (ordered[low[there]] + ordered[high[there]]) / 2
    return found


def _slope(at: npt.NDArray[np.intp], hour: Doubles, value: Doubles, rows: int) -> Doubles:
    count = np.bincount(at, minlength=rows)
    off = value - value.mean() if len(value) else value  # small numbers lose less in the squares
    x, y, xx, xy = (np.bincount(at, weight, rows) for weight in (hour, off, hour * hour, hour * off))
    spread = count * xx - x * x
    known = (count >= 3) & (spread > 1e-6)
    return np.where(known, (count * xy - x * y) / np.where(known, spread, 1), np.nan)
