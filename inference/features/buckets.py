"""The last 24 hours of each patient as hour buckets, in columns.

A bucket is one whole hour of event time, `[h, h + 1 h)`, and holds count and sum of its values, its newest value and when
that was. A value enters its bucket when it is newer than what the bucket has seen of that metric, so giving a row again
changes nothing, and rows may come hour by hour in any order. A row that is older than 24 hours before the newest is left out.

Hours that leave the ring are not forgotten: how many there were, the sum of their means, the lowest and the highest go on as
the part of the stay that lies before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import Array, Frame
from inference.features.layout import HOUR_MS, HOURS
from inference.growing import wider

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]

RING: Final = HOURS + 1  # one place more, so that a patient whose next hour has begun can still be asked about the last
_NO_HOUR: Final = -(1 << 30)
_BEFORE: Final = ("count", "sum", "least", "most")
_NOTHING_BEFORE: Final = np.array([0, 0, np.inf, -np.inf], dtype=np.float32)[:, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """24 hours of some patients, oldest first. Shape (24, metrics, rows); NaN where nothing was measured.
    `last_ms`: when the newest value of the hour was measured, milliseconds after its beginning. `hour`: the last of the 24,
    whole hours since 1970."""

    hour: int
    mean: Floats
    last: Floats
    last_ms: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the hours before the 24 were, by hourly means. Shape (metrics, rows); `least` and `most` are infinite at count 0."""

    count: Floats
    sum: Floats
    least: Floats
    most: Floats


class HourBuckets:
    """See the module. `metrics` is how many metrics there are; patients are slots 0, 1, 2, …"""

    def __init__(self, metrics: int) -> None:
        self._metrics = metrics
        self._empty()

    def _empty(self) -> None:
        self.slots = 0
        self._head = np.empty(0, dtype=np.int32)  # the newest hour of the patient
        self._hour = np.empty((RING, 0), dtype=np.int32)  # which hour lies at this place of the ring
        self._count = np.empty((RING, self._metrics, 0), dtype=np.float32)
        self._sum = np.empty((RING, self._metrics, 0), dtype=np.float32)
        self._last = np.empty((RING, self._metrics, 0), dtype=np.float32)
        self._last_ms = np.empty((RING, self._metrics, 0), dtype=np.int32)
        # Of the hours that have left the ring: count, sum, least and most of their means.
        self._before = np.empty((4, self._metrics, 0), dtype=np.float32)

    def fit(self, slots: int) -> None:
        """Make place for so many patients; there is room to grow, so that a patient more does not copy everything."""
        room = self._hour.shape[1]
        if slots > room:
            more = max(slots, room + room // 2) - room
            self._head = wider(self._head, more, _NO_HOUR)
            fresh = np.broadcast_to(_NOTHING_BEFORE, (4, self._metrics, more))
            self._before = np.concatenate([self._before, fresh], axis=-1)
            self._hour = wider(self._hour, more, _NO_HOUR)
            self._count = wider(self._count, more, 0)
            self._sum = wider(self._sum, more, 0)
            self._last = wider(self._last, more, np.nan)
            self._last_ms = wider(self._last_ms, more, -1)
        self.slots = max(self.slots, slots)

    def update(self, slot: Index, metric: Index, time_ms: Longs, value: Floats) -> None:
        """Take in rows, in log order. NaN and infinite values are left out. Unknown slots or metrics raise `InvalidInput`."""
        _check_rows(slot, metric, time_ms, value, self.slots, self._metrics)
        good = np.isfinite(value)
        if not good.all():
            slot, metric, time_ms, value = slot[good], metric[good], time_ms[good], value[good]
        if not len(slot):
            return
        hour = (time_ms // HOUR_MS).astype(np.int32)
        # Hour by hour in log order: what leaves the ring depends on which hour came first.
        edges = np.flatnonzero(np.diff(hour)) + 1
        for start, end in zip([0, *edges.tolist()], [*edges.tolist(), len(hour)], strict=True):
            at = slice(start, end)
            self._take(int(hour[start]), slot[at], metric[at], time_ms[at], value[at])

    def _take(self, hour: int, slot: Index, metric: Index, time_ms: Longs, value: Floats) -> None:
        """Rows of one hour."""
        self._turn(hour, np.unique(slot[self._head[slot] < hour]))
        kept = self._head[slot] <= hour + HOURS
        if not kept.all():
            slot, metric, time_ms, value = slot[kept], metric[kept], time_ms[kept], value[kept]
        place = hour % RING
        self._hour[place, slot] = hour
        within_ms = (time_ms - hour * HOUR_MS).astype(np.int32)
        newer = _rising(metric * self.slots + slot, within_ms, self._last_ms[place, metric, slot])
        metric, slot, value, within_ms = metric[newer], slot[newer], value[newer], within_ms[newer]
        np.add.at(self._count[place], (metric, slot), np.float32(1))
        np.add.at(self._sum[place], (metric, slot), value)
        # The last of several rows of a bucket holds, and `newer` rows of a bucket rise in time.
        self._last[place, metric, slot] = value
        self._last_ms[place, metric, slot] = within_ms

    def hours(self, slots: Index, hour: int) -> Hours:
        """The 24 hours that end with `hour` (whole hours since 1970), of `slots`. Hours after it are not looked at."""
        shape = (HOURS, self._metrics, len(slots))
        mean, last, last_ms = np.empty(shape, np.float32), np.empty(shape, np.float32), np.empty(shape, np.int32)
        for k, wanted in enumerate(range(hour - HOURS + 1, hour + 1)):
            place = wanted % RING
            count = self._count[place].take(slots, axis=1)
            there = (self._hour[place].take(slots) == wanted) & (count > 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                mean[k] = np.where(there, self._sum[place].take(slots, axis=1) / count, np.float32(np.nan))
            last[k] = np.where(there, self._last[place].take(slots, axis=1), np.float32(np.nan))
            last_ms[k] = np.where(there, self._last_ms[place].take(slots, axis=1), np.int32(-1))
        return Hours(hour=hour, mean=mean, last=last, last_ms=last_ms)

    def before(self, slots: Index, hour: int) -> Before:
        """The hours before the 24 that end with `hour`. `hour` may be the newest of a patient, the one before, or a later one."""
        count, total, least, most = (part.take(slots, axis=1) for part in self._before)
        head = self._head[slots]
        for back in range(HOURS, -1, -1):
            wanted = head - back
            place = wanted % RING
            held = self._count[place, :, slots].T
            there = (self._hour[place, slots] == wanted) & (wanted <= hour - HOURS) & (held > 0)
            if there.any():
                mean = (self._sum[place, :, slots].T / np.where(there, held, np.float32(1))).astype(np.float32)
                _add(count, total, least, most, there, mean)
        return Before(count=count, sum=total, least=least, most=most)

    def columns(self, slots: Index) -> dict[str, Array]:
        """The state of `slots` as columns of one entry a patient, for a snapshot."""
        found: dict[str, Array] = {"head": self._head[slots]}
        for metric in range(self._metrics):
            for part, name in enumerate(_BEFORE):
                found[f"before_{name}.{metric}"] = self._before[part, metric, slots]
        for place in range(RING):
            found[f"hour.{place}"] = self._hour[place, slots]
            for metric in range(self._metrics):
                found[f"count.{place}.{metric}"] = self._count[place, metric, slots]
                found[f"sum.{place}.{metric}"] = self._sum[place, metric, slots]
                found[f"last.{place}.{metric}"] = self._last[place, metric, slots]
                found[f"last_ms.{place}.{metric}"] = self._last_ms[place, metric, slots]
        return found

    def restore(self, frames: Sequence[Frame]) -> None:
        """Replace the state with frames of `columns`. Raises `InvalidInput` for what cannot be a state."""
        self._empty()
        self.fit(sum(frame.rows for frame in frames))
        start = 0
        for frame in frames:
            at = slice(start, start + frame.rows)
            start += frame.rows
            self._head[at] = frame.numbers("head", np.int32)
            for metric in range(self._metrics):
                for part, name in enumerate(_BEFORE):
                    self._before[part, metric, at] = frame.numbers(f"before_{name}.{metric}", np.float32)
            for place in range(RING):
                self._hour[place, at] = frame.numbers(f"hour.{place}", np.int32)
                for metric in range(self._metrics):
                    self._count[place, metric, at] = frame.numbers(f"count.{place}.{metric}", np.float32)
                    self._sum[place, metric, at] = frame.numbers(f"sum.{place}.{metric}", np.float32)
                    self._last[place, metric, at] = frame.numbers(f"last.{place}.{metric}", np.float32)
                    self._last_ms[place, metric, at] = frame.numbers(f"last_ms.{place}.{metric}", np.int32)
        held = self._count > 0
        if not (
            np.isfinite(self._sum).all() and np.isfinite(self._count).all() and np.isfinite(self._last[held]).all()
        ):
            raise InvalidInput("snapshot", "is damaged: numbers that are not finite")
        if ((self._last_ms >= 0) != held).any() or (self._last_ms >= HOUR_MS).any():
            raise InvalidInput("snapshot", "is damaged: hours with times outside them")

    def _turn(self, hour: int, slots: Index) -> None:
        """`hour` is new for `slots`: what no longer fits the ring joins the hours before it, oldest first."""
        if not len(slots):
            return
        count, total, least, most = (part.take(slots, axis=1) for part in self._before)
        head = self._head[slots]
        for back in range(HOURS, -1, -1):
            wanted = head - back
            place = wanted % RING
            gone = np.flatnonzero((self._hour[place, slots] == wanted) & (wanted < hour - HOURS) & (head > _NO_HOUR))
            if not len(gone):
                continue
            at, which = place[gone], slots[gone]
            held = self._count[at, :, which].T
            mean = (self._sum[at, :, which].T / np.where(held > 0, held, np.float32(1))).astype(np.float32)
            parts = [part[:, gone] for part in (count, total, least, most)]
            _add(parts[0], parts[1], parts[2], parts[3], held > 0, mean)
            for part, changed in zip((count, total, least, most), parts, strict=True):
                part[:, gone] = changed
            self._hour[at, which] = _NO_HOUR
            self._count[at, :, which] = 0
            self._sum[at, :, which] = 0
            self._last[at, :, which] = np.nan
            self._last_ms[at, :, which] = -1
        self._before[:, :, slots] = np.stack([count, total, least, most])
        self._head[slots] = hour


def _add(count: Floats, total: Floats, least: Floats, most: Floats, there: npt.NDArray[np.bool_], mean: Floats) -> None:
    """One more hour, where there is one; in place."""
    count += there
    total += np.where(there, mean, np.float32(0))
    np.minimum(least, np.where(there, mean, np.float32(np.inf)), out=least)
    np.maximum(most, np.where(there, mean, np.float32(-np.inf)), out=most)


def _rising(bucket: Index, time_ms: npt.NDArray[np.int32], seen_ms: npt.NDArray[np.int32]) -> Index:
    """Rows newer than everything before them in their bucket, in log order: the same rows however a log is cut."""
    order = np.argsort(bucket, kind="stable")
    ordered = bucket[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    group = np.cumsum(first) - 1
    # Times within an hour are below 2^22, so the number of the group above them keeps groups apart.
    key = (group << 23) + time_ms[order]
    before = np.maximum((group << 23) + seen_ms[order], np.concatenate([[-1], key[:-1]]))
    highest = np.maximum.accumulate(before)
    return np.sort(order[key > highest])


def _check_rows(slot: Index, metric: Index, time_ms: Longs, value: Floats, slots: int, metrics: int) -> None:
    if not len(slot) == len(metric) == len(time_ms) == len(value):
        raise InvalidInput("rows", "slot, metric, time and value must have the same length")
    if len(slot) and (slot.min() < 0 or slot.max() >= slots):
        raise InvalidInput("slot", f"must be between 0 and {slots - 1}; make place with `fit` first")
    if len(metric) and (metric.min() < 0 or metric.max() >= metrics):
        raise InvalidInput("metric", f"must be between 0 and {metrics - 1}")
    if len(time_ms) and time_ms.min() < 0:
        raise InvalidInput("time_ms", "must not be before 1970")
