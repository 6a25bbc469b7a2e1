"""A recording again in the order in which it was received: the only way values reach features and scorers offline.

At each moment to be scored, everything received until then has been given, and nothing that came later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from inference.datasets.recording import Recording, Values
from inference.features import DAY, METRICS, HourFeatures

Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was received since the step before, and the rows of `Recording.moments` that are scored now."""

    t_ms: int
    received: Values
    rows: Index


def steps(recording: Recording) -> Iterator[Step]:
    """One step for each time at which somebody is scored, in order of time."""
    values, moments = recording.values, recording.moments
    times = np.unique(moments.time_ms)
    ends = np.searchsorted(values.received_ms, times, side="right")
    order = np.argsort(moments.time_ms, kind="stable")
    edges = np.searchsorted(moments.time_ms[order], times, side="right")
    start, first = 0, 0
    for t_ms, end, last in zip(times.tolist(), ends.tolist(), edges.tolist(), strict=True):
        yield Step(t_ms=t_ms, received=values.take(np.arange(start, end)), rows=order[first:last])
        start, first = end, last


def feed(features: HourFeatures, recording: Recording, received: Values) -> None:
    """Give the values of `received` that are metrics of the features; others are not looked at."""
    place = np.array([METRICS.index(m) if m in METRICS else -1 for m in recording.metrics], dtype=np.intp)
    metric = place[received.metric]
    at = np.flatnonzero(metric >= 0)
    features.update(received.patient[at].astype(np.intp), metric[at], received.time_ms[at], received.value[at])


def feature_table(recording: Recording, feature_set: str = DAY) -> npt.NDArray[np.float32]:
    """`HourFeatures.table` at every moment, in the order of `Recording.moments`."""
    return _at_moments(recording, partial(HourFeatures.table, feature_set=feature_set))


def feature_sequence(recording: Recording) -> npt.NDArray[np.float32]:
    """`HourFeatures.sequence` at every moment: 2.3 KB a moment."""
    return _at_moments(recording, HourFeatures.sequence)


def _at_moments(recording: Recording, read: object) -> npt.NDArray[np.float32]:
    features = HourFeatures()
    features.fit(len(recording.patients))
    found: npt.NDArray[np.float32] | None = None
    for step in steps(recording):
        feed(features, recording, step.received)
        slots = recording.moments.patient[step.rows].astype(np.intp)
        block = read(features, slots, step.t_ms)  # type: ignore[operator]
        if found is None:
            found = np.empty((len(recording.moments), *block.shape[1:]), dtype=np.float32)
        found[step.rows] = block
    if found is None:
        raise ValueError("a recording without moments has no features")
    return found
