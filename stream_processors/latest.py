"""The newest reading of each metric and patient: what a screen shows, with its own time and quality.

An older reading never replaces a newer one, so a backlog cannot turn a screen back. A metric leaves the rows when its
newest reading is older than the policy's `latest_ms`; viewers keep it as long as it is worth showing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.latest import Latest, LatestValues
from contracts.vitals import CATALOGUE
from stream_processors.clean import QUALITY_BITS, QUALITY_MASK, Rows
from stream_processors.policy import Policy
from stream_processors.ring import fitting, grown, roomy
from stream_processors.slots import Index, Planes, Slots


class LatestState:
    """Columns [plane, slot], and which patients changed since their last row."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._value = np.zeros((0, 0), dtype=np.float32)
        self._time_ms = np.zeros((0, 0), dtype=np.int64)
        self._quality = np.zeros((0, 0), dtype=np.uint8)
        self._changed = np.zeros(0, dtype=np.bool_)

    def fit(self, planes: int, slots: int) -> None:
        """Make place for so many metrics and patients."""
        had_planes, had_slots = self._value.shape
        if planes > had_planes or slots > had_slots:
            shape = (max(planes, had_planes), roomy(slots, had_slots))
            self._value, self._time_ms = grown(self._value, shape), grown(self._time_ms, shape)
            self._quality = grown(self._quality, shape)
            self._changed = grown(self._changed, (shape[1],))

    def take(self, rows: Rows, planes: Index) -> None:
        """Take in rows that won their second in the ring: at most one of each patient, metric and millisecond."""
        time_ms = self._time_ms.reshape(-1)
        cell = planes * self._time_ms.shape[1] + rows.slot
        np.maximum.at(time_ms, cell, rows.time_ms)
        newest = time_ms[cell] == rows.time_ms
        if newest.all():
            self._set(cell, rows)
        elif newest.any():
            self._set(cell[newest], rows.take(newest))

    def take_old(self, rows: Rows, planes: Index, clock_ms: int) -> None:
        """Take in rows that are too old for the ring: they may still be the newest of a metric that is rarely measured."""
        cell = planes * self._time_ms.shape[1] + rows.slot
        order = np.lexsort((rows.key >> QUALITY_BITS, rows.time_ms, cell))
        last = order[np.append(cell[order][1:] != cell[order][:-1], True)]
        newer = rows.time_ms[last] > np.maximum(self._time_ms.reshape(-1)[cell[last]], clock_ms - self._policy.latest_ms)
        last = last[newer]
        self._time_ms.reshape(-1)[cell[last]] = rows.time_ms[last]
        self._set(cell[last], rows.take(last))

    def changed(self, tick_ms: int, slots: Slots, planes: Planes) -> list[Latest]:
        """A wide row of each patient that changed since the last call, by name, in frames of bounded size."""
        order = slots.by_name()
        chosen = order[self._changed[order]]
        self._changed[:] = False
        size = self._policy.frame_rows
        frames = [self._frame(tick_ms, chosen[at : at + size], slots, planes) for at in range(0, len(chosen), size)]
        return [frame for frame in frames if len(frame)]

    def silent(self, before_ms: int) -> npt.NDArray[np.bool_]:
        """Slots of which nothing is known since `before_ms`."""
        return np.asarray((self._time_ms < before_ms).all(axis=0), dtype=np.bool_)

    def save(self, slots: int) -> dict[str, npt.NDArray[Any]]:
        """The whole state of the first `slots` patients."""
        return {
            "latest.value": self._value[:, :slots], "latest.time_ms": self._time_ms[:, :slots],
            "latest.quality": self._quality[:, :slots], "latest.changed": self._changed[:slots],
        }  # fmt: skip

    def load(self, arrays: Mapping[str, npt.NDArray[Any]], planes: int, slots: int) -> None:
        """Become what `save` gave. Raises `InvalidInput` when it does not fit."""
        self._value = fitting(arrays, "latest.value", np.float32, (planes, slots))
        self._time_ms = fitting(arrays, "latest.time_ms", np.int64, (planes, slots))
        self._quality = fitting(arrays, "latest.quality", np.uint8, (planes, slots))
        self._changed = fitting(arrays, "latest.changed", np.bool_, (slots,))

    def _set(self, cell: Index, rows: Rows) -> None:
        self._value.reshape(-1)[cell] = rows.value
        self._quality.reshape(-1)[cell] = rows.key & QUALITY_MASK
        self._changed[rows.slot] = True

    def _frame(self, tick_ms: int, chosen: Index, slots: Slots, planes: Planes) -> Latest:
        time_ms = self._time_ms[:, chosen]
        fresh = time_ms >= tick_ms - self._policy.latest_ms
        whole = bool(fresh.all())
        if not whole and not (some := fresh.any(axis=0)).all():  # after a jump of the ticks: all is too old by now
            chosen, time_ms, fresh = chosen[some], time_ms[:, some], fresh[:, some]
        value, quality = self._value[:, chosen], self._quality[:, chosen]
        if not whole:
            time_ms, quality = np.where(fresh, time_ms, 0), np.where(fresh, quality, np.uint8(0))
            value = np.where(fresh, value, np.float32(np.nan))
        return Latest(
            patient=slots.labels(chosen),
            tick_ms=np.full(len(chosen), tick_ms, dtype=np.int64),
            metrics={
                CATALOGUE[metric].name: LatestValues(value=value[plane], time_ms=time_ms[plane], quality=quality[plane])
                for plane, (metric, shown) in enumerate(zip(planes.metrics, np.asarray(fresh.any(axis=1)), strict=True))
                if shown
            },
        )
