"""From 24 hour buckets to the feature table and the hour sequence of the feature sets: pure, columnar, element by element.

Sums run hour by hour in a fixed order, never through a library's blocked sums, so that a row gives the same bits whatever
rows stand beside it. NaN means that nothing was measured: it is never replaced by a usual value.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from inference import news2
from inference.features.buckets import Before, Hours
from inference.features.layout import (
    CENTRES,
    CHANNELS,
    CROSS_FEATURES,
    FEATURES,
    HOUR_MS,
    HOURS,
    METRICS,
    NEWS2_FEATURES,
    SPREADS,
    WINDOWS_H,
)

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

_CENTRE: Final = np.array(CENTRES, dtype=np.float32)[:, None]
_SPREAD: Final = np.array(SPREADS, dtype=np.float32)[:, None]
_PER_METRIC: Final = 4 + 6 * len(WINDOWS_H)
_SLOPE_HOURS: Final = 3  # a slope through two points is noise
_SEQUENCE_LIMIT: Final = 8.0  # spreads

_HR, _SPO2, _TEMP, _SBP, _MBP, _DBP, _RR, _ETCO2 = range(len(METRICS))


def table(hours: Hours, within_ms: npt.NDArray[np.int32]) -> Floats:
    """Shape (rows, features), float32. `within_ms`: the time of each row, milliseconds after the beginning of its hour."""
    rows = hours.mean.shape[2]
    found = np.full((len(FEATURES), rows), np.nan, dtype=np.float32)
    by_metric = found[: len(METRICS) * _PER_METRIC].reshape(len(METRICS), _PER_METRIC, rows)
    level, age_h = newest(hours, within_ms)
    by_metric[:, 0], by_metric[:, 1] = level, age_h
    by_metric[:, 2] = level - _median(hours.mean)
    _windows(hours.mean, by_metric)
    by_metric[:, 3] = by_metric[:, 4] - by_metric[:, 4 + 6 * (len(WINDOWS_H) - 1)]
    rest = found[len(METRICS) * _PER_METRIC :]
    _news2(level, rest[: len(NEWS2_FEATURES)])
    _cross(level, rest[len(NEWS2_FEATURES) : len(NEWS2_FEATURES) + len(CROSS_FEATURES)])
    return np.ascontiguousarray(found.T)


def stay(hours: Hours, before: Before) -> Floats:
    """`STAY_FEATURES`, shape (rows, features): the hours before the 24 and the 24 themselves, oldest first."""
    count, total = before.count.copy(), before.sum.copy()
    least, most = before.least.copy(), before.most.copy()
    level = np.full(count.shape, np.nan, dtype=np.float32)
    earlier = level.copy()
    for k in range(HOURS):
        mean = hours.mean[k]
        there = ~np.isnan(mean)
        count += there
        total += np.where(there, mean, np.float32(0))
        np.fmin(least, mean, out=least)
        np.fmax(most, mean, out=most)
        earlier = np.where(there, level, earlier)
        level = np.where(there, hours.last[k], level)
    known = count > 0
    nan = np.float32(np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, total / count, nan)
    parts = (level - earlier, mean, np.where(known, least, nan), np.where(known, most, nan), level - mean)
    metrics, rows = count.shape
    return np.ascontiguousarray(np.stack(parts, axis=1).reshape(metrics * len(parts), rows).T, dtype=np.float32)


def newest(hours: Hours, within_ms: npt.NDArray[np.int32]) -> tuple[Floats, Floats]:
    """The newest value of each metric and its age in hours, shape (metrics, rows); NaN when there is none in 24 hours."""
    level = hours.last[0].copy()
    age_h = np.full(level.shape, np.nan, dtype=np.float32)
    for k in range(HOURS):
        there = hours.last_ms[k] >= 0
        level = np.where(there, hours.last[k], level)
        ago_ms = np.maximum((HOURS - 1 - k) * HOUR_MS + within_ms - hours.last_ms[k], 0)
        age_h = np.where(there, ago_ms.astype(np.float32) / np.float32(HOUR_MS), age_h)
    return level, age_h


def sequence(hours: Hours) -> Floats:
    """Shape (rows, 24, channels), float32, oldest hour first, without NaN: `measured` says where a value is one."""
    _, metrics, rows = hours.mean.shape
    found = np.empty((HOURS, len(CHANNELS), rows), dtype=np.float32)
    there = ~np.isnan(hours.mean)
    scaled = np.clip((hours.mean - _CENTRE) / _SPREAD, -_SEQUENCE_LIMIT, _SEQUENCE_LIMIT)
    found[:, :metrics] = np.where(there, scaled, np.float32(0))
    found[:, metrics : 2 * metrics] = there
    age = np.full((metrics, rows), HOURS, dtype=np.float32)
    for k in range(HOURS):
        age = np.where(there[k], np.float32(0), np.minimum(age + np.float32(1), np.float32(HOURS)))
        found[k, 2 * metrics :] = age / np.float32(HOURS)
    return np.ascontiguousarray(found.transpose(2, 0, 1))


def _median(mean: Floats) -> Floats:
    """Median over the hours that have a value, shape (metrics, rows)."""
    ordered = np.sort(mean, axis=0)  # NaN last
    count = HOURS - np.isnan(mean).sum(axis=0)
    low = np.maximum((count - 1) // 2, 0)[None]
    high = np.minimum(count // 2, HOURS - 1)[None]
    half = np.float32(0.5)
    middle = np.take_along_axis(ordered, low, axis=0) * half + np.take_along_axis(ordered, high, axis=0) * half
    return np.asarray(middle[0], dtype=np.float32)


def _windows(mean: Floats, into: Floats) -> None:
    """Fill the window features. Runs from now back, so that each longer window goes on from the one before it."""
    shape = mean.shape[1:]
    n, s, ss, sx, sxx, sxv = (np.zeros(shape, dtype=np.float32) for _ in range(6))
    least, most = np.full(shape, np.inf, dtype=np.float32), np.full(shape, -np.inf, dtype=np.float32)
    for back in range(HOURS):
        off = mean[HOURS - 1 - back] - _CENTRE  # small numbers lose less in the squares
        there = ~np.isnan(off)
        value = np.where(there, off, np.float32(0))
        weight = there.astype(np.float32)
        x = np.float32(-back)
        n += weight
        s += value
        ss += value * value
        sx += x * weight
        sxx += x * x * weight
        sxv += x * value
        np.fmin(least, off, out=least)
        np.fmax(most, off, out=most)
        if back + 1 in WINDOWS_H:
            at = 4 + 6 * WINDOWS_H.index(back + 1)
            _window(n, s, ss, sx, sxx, sxv, least, most, into[:, at : at + 6])


def _window(
    n: Floats, s: Floats, ss: Floats, sx: Floats, sxx: Floats, sxv: Floats, least: Floats, most: Floats, into: Floats
) -> None:
    nan = np.float32(np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        into[:, 0] = np.where(n > 0, s / n + _CENTRE, nan)
        into[:, 1] = np.where(n > 0, least + _CENTRE, nan)
        into[:, 2] = np.where(n > 0, most + _CENTRE, nan)
        variance = np.maximum((ss - s * s / n) / (n - np.float32(1)), np.float32(0))
        into[:, 3] = np.where(n > 1, np.sqrt(variance), nan)
        slope = (n * sxv - sx * s) / (n * sxx - sx * sx)
        into[:, 4] = np.where(n >= _SLOPE_HOURS, slope, nan)
    into[:, 5] = n


def _news2(level: Floats, into: Floats) -> None:
    into[0] = news2.RESPIRATION.of(level[_RR])
    into[1] = news2.SPO2_SCALE_1.of(level[_SPO2])
    into[2] = news2.SYSTOLIC.of(level[_SBP])
    into[3] = news2.PULSE.of(level[_HR])
    into[4] = news2.TEMPERATURE.of(level[_TEMP])
    total, known = np.zeros_like(into[0]), np.zeros_like(into[0])
    for part in into[:5]:
        there = ~np.isnan(part)
        total += np.where(there, part, np.float32(0))
        known += there
    into[5] = np.where(known > 0, total, np.float32(np.nan))
    into[6] = known


def _cross(level: Floats, into: Floats) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        into[0] = level[_HR] / level[_SBP]
        into[1] = level[_HR] / level[_MBP]
        into[2] = level[_SBP] - level[_DBP]
        into[3] = level[_SPO2] / level[_RR]
        into[4] = level[_HR] - np.float32(10) * (level[_TEMP] - np.float32(37))
    into[~np.isfinite(into)] = np.nan
