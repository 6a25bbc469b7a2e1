"""Features of values that are measured now and then, above all laboratory values: what is known of each at a moment.

For offline models only: the stream has no laboratory values, so these stand apart from the feature set of the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from inference.datasets.recording import HOUR_MS, Recording, Values

Floats = npt.NDArray[np.float32]

PARTS: Final = ("last", "age_h", "change", "min", "max", "mean", "count", "first", "std", "mean_12h", "count_12h")
"""Of one metric since the beginning of the record: newest value, its age, its change from the one before, the lowest, the
highest, the mean, how many there were, the first, the standard deviation (of two or more); and of what was received in the last
12 hours the mean and how many. Counts are 0 when there is none, all others NaN then."""

RECENT_H: Final = 12


def series_table(
    recording: Recording, metrics: Sequence[str], parts: Sequence[str] = PARTS
) -> tuple[tuple[str, ...], Floats]:
    """Names `metric.part` and a table of shape (moments, names): what had been received by each moment."""
    names = tuple(f"{metric}.{part}" for metric in metrics for part in parts)
    kept = [PARTS.index(part) for part in parts]
    found = np.full((len(recording.moments), len(names)), np.nan, dtype=np.float32)
    for k, metric in enumerate(metrics):
        at = np.flatnonzero(recording.values.metric == recording.metrics.index(metric))
        found[:, k * len(kept) : (k + 1) * len(kept)] = _of_metric(recording, recording.values.take(at))[:, kept]
    return names, found


def _of_metric(recording: Recording, values: Values) -> Floats:
    moments = recording.moments
    order = np.lexsort((values.received_ms, values.patient))
    patient, received_ms = values.patient[order], values.received_ms[order]
    time_ms, value = values.time_ms[order], values.value[order].astype(np.float64)
    found = np.full((len(moments), len(PARTS)), np.nan, dtype=np.float32)
    start = np.searchsorted(patient, moments.patient)
    # Patients are far apart on one axis, so that a search finds the last value of the same patient.
    span = int(max(received_ms.max(initial=0), moments.time_ms.max(initial=0))) + 1
    origin = int(min(received_ms.min(initial=span), moments.time_ms.min(initial=span)))
    width = span - origin + 1
    axis = patient.astype(np.int64) * width + (received_ms - origin)
    end = np.searchsorted(axis, moments.patient.astype(np.int64) * width + (moments.time_ms - origin), side="right")
    count = end - start
    found[:, 6] = count
    found[:, 10] = 0
    there = np.flatnonzero(count > 0)
    if not len(there):
        return found
    last, first = end[there] - 1, start[there]
    found[there, 0] = value[last]
    found[there, 1] = (moments.time_ms[there] - time_ms[last]) / HOUR_MS
    second = count[there] > 1
    found[there[second], 2] = value[last[second]] - value[last[second] - 1]
    found[there, 3] = _running(np.minimum, value, patient)[last]
    found[there, 4] = _running(np.maximum, value, patient)[last]
    off = value - value.mean()  # small numbers lose less in the squares
    total, squares = (np.concatenate([[0.0], np.cumsum(column)]) for column in (off, off * off))
    mean = (total[last + 1] - total[first]) / count[there]
    found[there, 5] = mean + value.mean()
    found[there, 7] = value[first]
    variance = (squares[last + 1] - squares[first]) / count[there] - mean * mean
    found[there, 8] = np.where(second, np.sqrt(np.maximum(variance, 0)), np.nan)
    since = np.maximum(moments.time_ms - RECENT_H * HOUR_MS - origin, -1)
    recent = np.searchsorted(axis, moments.patient.astype(np.int64) * width + since, side="right")[there]
    recent = np.maximum(recent, first)
    many = end[there] - recent
    found[there, 10] = many
    some = many > 0
    found[there[some], 9] = (total[last[some] + 1] - total[recent[some]]) / many[some] + value.mean()
    return found


def _running(best: np.ufunc, value: npt.NDArray[np.float64], patient: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Lowest or highest value of a patient so far; rows are sorted by patient."""
    # Each patient is lifted above (below) all before, so that one running extreme does not reach over patients.
    reach = float(np.ptp(value)) + 1.0
    lift = patient.astype(np.float64) * (reach if best is np.maximum else -reach)
    return np.asarray(best.accumulate(value + lift) - lift, dtype=np.float64)


def context_table(recording: Recording) -> tuple[tuple[str, ...], Floats]:
    """What is known of a patient beside the monitor, and the hour of the stay: shape (moments, names)."""
    names = tuple(recording.context)
    columns = [recording.context[name][recording.moments.patient] for name in names]
    return (*names, "stay_h"), np.stack([*columns, recording.stay_h().astype(np.float32)], axis=1)
