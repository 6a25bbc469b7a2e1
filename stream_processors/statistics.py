"""Statistics of a window, the same bits whatever is computed beside it.

numpy's own sums group their terms by the shape of the array, so that a patient could come out one bit different when
computed alone. Here every sum of doubles runs second by second, element by element over (metric, patient). Counting,
comparing and sorting need no such care. Values are taken relative to the smallest of the window, which keeps small
variances beside large means. Windows of several minutes are combined after Chan, Golub & LeVeque (1983).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.windows import STATISTICS

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

# Columns computed together, so that a block of sixty seconds stays in the processor's cache.
_BLOCK: Final = 2048
SECONDS_PER_MINUTE: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Sums over the usable seconds of a window, shape (metrics, patients). Seconds `t` count from the window's start.

    `m2`: sum of squares about the mean; `cov`: sum of products of time and value about their means. Where `count` is 0
    the other values mean nothing.
    """

    count: Doubles
    good: Doubles
    sum_t: Doubles
    sum_tt: Doubles
    mean: Doubles
    m2: Doubles
    cov: Doubles
    low: Doubles
    high: Doubles
    last: Doubles

    def __iter__(self) -> Iterator[Doubles]:
        for name in FIELDS:
            yield getattr(self, name)


FIELDS: Final = ("count", "good", "sum_t", "sum_tt", "mean", "m2", "cov", "low", "high", "last")


def summarise(window: Floats, questionable: npt.NDArray[np.uint8]) -> tuple[Moments, Floats]:
    """Moments and medians of `window`, shape (seconds, metrics, patients), NaN where nothing is usable.

    `questionable` counts the values of lower quality, shape (metrics, patients).
    """
    seconds, metrics, patients = window.shape
    columns = window.reshape(seconds, metrics * patients)
    found = np.zeros((len(FIELDS), columns.shape[1]))
    median = np.empty(columns.shape[1], dtype=np.float32)
    for start in range(0, columns.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        _moments(columns[:, block], found[:, block])
        median[block] = _median(columns[:, block], found[0, block])
    fields = found.reshape(len(FIELDS), metrics, patients)
    fields[1] = fields[0] - questionable
    return Moments(**dict(zip(FIELDS, fields, strict=True))), median.reshape(metrics, patients)


def _moments(x: Floats, out: Doubles) -> None:
    """The moments of each column of `x` into the rows of `out`; `good` is left to the caller."""
    seconds = len(x)
    usable = x == x
    count = np.add.reduce(usable, axis=0, dtype=np.int64)
    low, high = np.fmin.reduce(x, axis=0), np.fmax.reduce(x, axis=0)
    if int(count.min()) == seconds:
        filled, last = x, x[-1]
        sum_t = np.full(len(count), seconds * (seconds - 1) // 2)
        sum_tt = np.full(len(count), seconds * (seconds - 1) * (2 * seconds - 1) // 6)
    else:
        filled, last = np.where(usable, x, low), _last(x, count)
        sum_t, sum_tt = _times(usable)
    origin = low.astype(np.float64)
    d, e = np.empty_like(origin), np.empty_like(origin)
    total, squares, products = np.zeros_like(origin), np.zeros_like(origin), np.zeros_like(origin)
    for t in range(seconds):
        np.subtract(filled[t], origin, out=d)
        total += d
        np.multiply(d, float(t), out=e)
        products += e
        np.multiply(d, d, out=d)
        squares += d
    n = np.maximum(count, 1).astype(np.float64)
    out[0], out[2], out[3] = count, sum_t, sum_tt
    out[4] = origin + total / n
    out[5] = np.maximum(squares - total * total / n, 0.0)
    out[6] = products - total * (sum_t / n)
    out[7], out[8], out[9] = low, high, last


def _last(x: Floats, count: npt.NDArray[np.int64]) -> Floats:
    last = x[-1]
    for t in range(len(x) - 2, -1, -1):
        missing = (last != last) & (count > 0)
        if not missing.any():
            break
        last = np.where(missing, x[t], last)
    return np.asarray(last)


def _times(usable: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Sum of t and of t squared over the usable seconds of each column."""
    here = usable.view(np.uint8)
    sum_t, sum_tt = np.zeros(here.shape[1], dtype=np.uint32), np.zeros(here.shape[1], dtype=np.uint32)
    for t in range(len(here)):
        at = here[t] * np.uint32(t)
        sum_t += at
        at *= np.uint32(t)
        sum_tt += at
    return sum_t, sum_tt


def _median(x: Floats, count: Doubles) -> Floats:
    ordered = np.ascontiguousarray(x.T)
    ordered.sort(axis=1)  # NaN last
    n = count.astype(np.intp)
    rows = np.arange(len(n))
    lower = ordered[rows, np.maximum(n - 1, 0) // 2].astype(np.float64)
    upper = ordered[rows, np.minimum(n // 2, len(x) - 1)].astype(np.float64)
    return np.asarray((lower + upper) / 2, dtype=np.float32)


def combine(minutes: Sequence[Moments]) -> Moments:
    """The moments of consecutive minutes, oldest first, as one window; seconds count from the first one's start.

    Where the `count` of a minute is 0, all else of it must be 0.
    """
    whole = minutes[0]
    for number, part in enumerate(minutes[1:], start=1):
        shift = float(number * SECONDS_PER_MINUTE)
        before, later = whole.count > 0, part.count > 0
        n = np.maximum(whole.count + part.count, 1)
        weight = whole.count * part.count / n
        part_t = part.sum_t + shift * part.count
        dx = part.mean - whole.mean
        dt = part_t / np.maximum(part.count, 1) - whole.sum_t / np.maximum(whole.count, 1)
        whole = Moments(
            count=whole.count + part.count,
            good=whole.good + part.good,
            sum_t=whole.sum_t + part_t,
            sum_tt=whole.sum_tt + part.sum_tt + 2 * shift * part.sum_t + shift * shift * part.count,
            mean=np.where(before & later, whole.mean + dx * (part.count / n), whole.mean + part.mean),
            m2=whole.m2 + part.m2 + dx * dx * weight,
            cov=whole.cov + part.cov + dt * dx * weight,
            low=np.where(before & later, np.minimum(whole.low, part.low), np.where(later, part.low, whole.low)),
            high=np.where(before & later, np.maximum(whole.high, part.high), np.where(later, part.high, whole.high)),
            last=np.where(later, part.last, whole.last),
        )
    return whole


def features(whole: Moments, median: Floats | None, expected: Doubles) -> Floats:
    """The statistics of a window, shape (statistics, metrics, patients), NaN where a metric has no usable value.

    `expected`: how many values a metric should have had, shape (metrics,). Standard deviation is that of a sample: unknown
    (NaN) for a single value, as is the slope.
    """
    n = np.maximum(whole.count, 1)
    spread_t = whole.sum_tt - whole.sum_t * whole.sum_t / n
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {
            "count": whole.count,
            "coverage": np.minimum(whole.count / expected[:, None], 1.0),
            "good": whole.good / n,
            "mean": whole.mean,
            "std": np.where(whole.count > 1, np.sqrt(whole.m2 / (n - 1)), np.nan),
            "min": whole.low,
            "max": whole.high,
            "last": whole.last,
            "slope": np.where(whole.count > 1, whole.cov / spread_t * SECONDS_PER_MINUTE, np.nan),
            "median": np.full(n.shape, np.nan) if median is None else median,
        }
    table = np.empty((len(STATISTICS), *n.shape), dtype=np.float32)
    for number, statistic in enumerate(STATISTICS):
        table[number] = found[statistic]
    table[:, whole.count == 0] = np.nan
    return table
