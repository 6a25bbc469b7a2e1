"""The time-series store as the rooms see it: write columns, read what a chart or a table needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from contracts.readings import MAX_SEQ, Quality, Readings
from contracts.scores import Scores
from contracts.windows import Windows

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]
Qualities = npt.NDArray[np.uint8]

_TIME_BITS: Final = 42  # milliseconds until the year 2109; readings end in 2100


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoints:
    """Points of one metric in time order; `value` is NaN where nothing usable was measured, so that a chart shows a gap.

    When there were more than asked for, each point stands for a stretch of time: the mean of its usable values in `value`,
    their extremes in `low` and `high`, so that a spike survives, the mean of their times in `time_ms`, and the worst of
    their qualities. BAD and NOT_WORN measurements are never part of a value; `quality` says so where there was nothing else.
    """

    time_ms: Times
    value: Values
    low: Values
    high: Values
    quality: Qualities
    downsampled: bool

    def __len__(self) -> int:
        return len(self.time_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestPoint:
    """The newest reading of one metric. A value whose quality is BAD or NOT_WORN must not be shown as a value."""

    time_ms: int
    value: float
    quality: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWindow:
    """One window of one patient: its newest revision. A feature without a value is absent."""

    window_end_ms: int
    span_ms: int
    late: int
    revised: bool
    features: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScore:
    """One score; `score` is None, and there are no contributions, unless its status is ok."""

    window_end_ms: int
    model: str
    version: str
    score: float | None
    status: str
    contributions: Mapping[str, float]
    deviations: Mapping[str, float]


class SeriesStore(Protocol):
    """Times are milliseconds UTC, ranges half-open [from, to).

    Writing the same rows again changes nothing, and the order in which rows arrive does not matter: of the readings of one
    patient and metric within one second the newest counts (`contracts.readings.rank`), of a window its last revision. Rows
    are durable when a writing method returns. Raises `Retryable` when the store does not answer; nothing, or a part that may
    be written again, was written then. Thread-safe; questions run side by side when each thread opens its own store.
    """

    def write(self, readings: Readings) -> None:
        """Write judged readings."""
        ...

    def write_windows(self, windows: Sequence[Windows]) -> None:
        """Write windows; of the same (patient, span, window end) the one with most late rows counts."""
        ...

    def write_scores(self, scores: Sequence[Scores]) -> None:
        """Write scores; of the same (patient, model, window end) the last written counts."""
        ...

    def query(self, patient: str, metric: str, from_ms: int, to_ms: int, points: int) -> SeriesPoints:
        """The readings of [from, to) in at most `points` points; none for a patient or metric that is not known."""
        ...

    def latest(self, patient: str) -> dict[str, LatestPoint]:
        """The newest reading of each metric of a patient, by metric."""
        ...

    def windows(self, patient: str, from_ms: int, to_ms: int, span_ms: int) -> list[StoredWindow]:
        """Windows of this length that end in [from, to), oldest first."""
        ...

    def scores(self, patient: str, from_ms: int, to_ms: int, model: str | None = None) -> list[StoredScore]:
        """Scores, of one model or of all, of windows that end in [from, to), oldest first."""
        ...

    def retain(self, before_ms: int, windows_before_ms: int | None = None) -> None:
        """Forget readings before `before_ms`, and windows and scores before `windows_before_ms` (None: the same).

        What is younger stays; a store may keep up to one of its storage units (ten minutes) more.
        """
        ...

    def close(self) -> None:
        """Give the connection back. The store cannot be used after it."""
        ...


def tie_order(readings: Readings) -> Times:
    """What decides between readings of the same millisecond: boot, then seq, as one number; larger wins."""
    return np.asarray(readings.boot.astype(np.int64) << (MAX_SEQ.bit_length()) | readings.seq)


def newest_each_second(series: npt.NDArray[np.integer], time_ms: Times, order: Times) -> npt.NDArray[np.intp]:
    """Rows that count, sorted by series and time: of each series and second the newest time, then the highest `order`.

    Of rows equal in all of that the first counts. `series` are numbers below 2**20.
    """
    key = series.astype(np.int64) << _TIME_BITS | time_ms
    index = np.argsort(key, kind="stable")
    second = (series.astype(np.int64) << 33 | time_ms // 1000)[index]
    same = second[1:] == second[:-1]
    if not same.any():
        return index
    crowded = np.zeros(len(index), dtype=np.bool_)
    crowded[1:] |= same
    crowded[:-1] |= same
    rows = index[crowded]
    index[crowded] = rows[np.lexsort((-rows, order[rows], key[rows]))]
    return np.asarray(index[np.append(~same, True)])


def downsample(
    time_ms: Times, value: Values, quality: Qualities, from_ms: int, to_ms: int, points: int
) -> SeriesPoints:
    """At most `points` points of columns sorted by time, all within [from, to): see `SeriesPoints`.

    The stretches are of equal length from `from_ms` on and do not depend on the data.
    """
    usable = (quality <= Quality.QUESTIONABLE) & np.isfinite(value)
    points = max(1, points)
    if len(time_ms) <= points:
        shown = np.where(usable, value, np.float32(np.nan))
        return SeriesPoints(time_ms=time_ms, value=shown, low=shown, high=shown, quality=quality, downsampled=False)
    length_ms = -(-(to_ms - from_ms) // points)
    edges = np.searchsorted(time_ms, from_ms + length_ms * np.arange(points + 1))
    sizes = np.diff(edges)
    starts, sizes = edges[:-1][sizes > 0], sizes[sizes > 0]
    offset_ms, good, count = time_ms - from_ms, sizes, sizes
    low, high = value, value
    if not usable.all():
        good = np.add.reduceat(usable.astype(np.int64), starts)
        # Where a stretch has nothing usable, its unusable rows give the time and the quality.
        counted = usable | np.repeat(good == 0, sizes)
        count = np.add.reduceat(counted.astype(np.int64), starts)
        offset_ms, quality = np.where(counted, offset_ms, 0), np.where(counted, quality, 0)
        low, high, value = np.where(usable, value, np.inf), np.where(usable, value, -np.inf), np.where(usable, value, 0)
    some = good > 0
    total = np.add.reduceat(value.astype(np.float64), starts)
    nothing = np.float32(np.nan)
    return SeriesPoints(
        time_ms=np.asarray(np.add.reduceat(offset_ms, starts) // count + from_ms),
        value=np.where(some, total / np.maximum(good, 1), nothing).astype(np.float32),
        low=np.where(some, np.minimum.reduceat(low, starts), nothing).astype(np.float32),
        high=np.where(some, np.maximum.reduceat(high, starts), nothing).astype(np.float32),
        quality=np.maximum.reduceat(quality, starts).astype(np.uint8),
        downsampled=True,
    )


def no_points() -> SeriesPoints:
    """What is known of a patient or metric that nobody knows."""
    nothing = np.zeros(0, dtype=np.float32)
    return SeriesPoints(
        time_ms=np.zeros(0, dtype=np.int64),
        value=nothing,
        low=nothing,
        high=nothing,
        quality=np.zeros(0, dtype=np.uint8),
        downsampled=False,
    )


def known_features(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """The pairs that have a value."""
    return {name: value for name, value in zip(names, values, strict=True) if value == value}
