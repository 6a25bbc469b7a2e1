"""The rival of every alarm rule: limits without any delay, as columns. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.readings import Quality, Readings
from contracts.vitals import CATALOGUE

_LIMITS: Final = [
    (f"{vital.name}_{side}", index, sign, limit)
    for index, vital in enumerate(CATALOGUE)
    for side, sign, limit in (("low", -1, vital.limits.low), ("high", 1, vital.limits.high))
    if limit is not None
]


class PlainThresholds:
    """The catalogue's limits as a monitor without any delay has them: every time that a value goes beyond one is an alarm.
    `usable_only`: values marked as no signal are passed over."""

    def __init__(self, beds: int, *, usable_only: bool) -> None:
        self._usable_only = usable_only
        self._low = np.full(len(CATALOGUE), -np.inf, dtype=np.float32)
        self._high = np.full(len(CATALOGUE), np.inf, dtype=np.float32)
        for _, index, sign, limit in _LIMITS:
            (self._low if sign < 0 else self._high)[index] = limit
        self._side = np.zeros((beds, len(CATALOGUE)), dtype=np.int8)
        self.count = 0
        self._beyond: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int16], npt.NDArray[np.int8], int]] = []

    def take(self, readings: Readings, end_ms: int) -> None:
        """One second: at most one value of each bed and metric."""
        bed, metric, value = readings.patient.codes, readings.metric, readings.value
        side = (value > self._high[metric]).astype(np.int8) - (value < self._low[metric]).astype(np.int8)
        if self._usable_only:
            usable = readings.quality < Quality.BAD
            bed, metric, side = bed[usable], metric[usable], side[usable]
        begins = (side != 0) & (side != self._side[bed, metric])
        self.count += int(np.count_nonzero(begins))
        self._side[bed, metric] = side
        beyond = np.flatnonzero(side)
        if len(beyond):
            self._beyond.append((bed[beyond].astype(np.int64), metric[beyond], side[beyond], end_ms))

    def seen(self) -> dict[tuple[int, str], npt.NDArray[np.int64]]:
        """When a value of a bed was beyond a limit, by bed and condition."""
        if not self._beyond:
            return {}
        bed, metric, side = (np.concatenate([part[i] for part in self._beyond]) for i in range(3))
        time_ms = np.repeat([part[3] for part in self._beyond], [len(part[0]) for part in self._beyond])
        key = (bed * len(CATALOGUE) + metric) * 2 + (side > 0)
        order = np.argsort(key, kind="stable")
        starts = np.flatnonzero(np.append(True, np.diff(key[order]) > 0))
        return {
            (int(k // 2 // len(CATALOGUE)), f"{CATALOGUE[k // 2 % len(CATALOGUE)].name}_{'high' if k % 2 else 'low'}"): part
            for k, part in zip(key[order][starts].tolist(), np.split(time_ms[order], starts[1:]), strict=True)
        }
