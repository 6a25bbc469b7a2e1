"""Cutting a batch of readings into one part per partition, vectorised over the dictionary of patient keys.

Every patient's rows go to one partition (`contracts.partitioning`). The hash is pure Python, so it is computed once a
patient and remembered, never once a row.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import Labels
from contracts.partitioning import partition_of
from contracts.readings import Readings

# Patient keys come from outside: without a bound a sender of random keys would fill the memory.
MAX_REMEMBERED: Final = 1_000_000


class PartitionCache:
    """The partitions of patient keys seen before, for one number of partitions. Not thread-safe."""

    __slots__ = ("_known", "_last", "_last_names", "partitions")

    def __init__(self, partitions: int) -> None:
        if partitions < 1:
            raise InvalidInput("partitions", "must be at least 1")
        self.partitions: Final = partitions
        self._known: dict[str, int] = {}
        self._last_names: tuple[str, ...] = ()
        self._last: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)

    def of(self, names: tuple[str, ...]) -> npt.NDArray[np.int32]:
        """The partition of each name, shape (len(names),). A steady sender hands in the same tuple again and again."""
        if names is self._last_names:
            return self._last
        known = self._known
        found = np.empty(len(names), dtype=np.int32)
        for i, name in enumerate(names):
            partition = known.get(name)
            if partition is None:
                if len(known) >= MAX_REMEMBERED:
                    known.clear()
                partition = known[name] = partition_of(name, self.partitions)
            found[i] = partition
        self._last_names, self._last = names, found
        return found


def split_by_partition(
    readings: Readings, partitions: int, cache: PartitionCache | None = None
) -> dict[int, Readings]:
    """The rows of each partition that has any, partitions ascending, rows in their order, keys of others dropped.

    `cache` must have been made for the same number of partitions; without one every patient key is hashed anew.
    """
    memory = PartitionCache(partitions) if cache is None else cache
    if memory.partitions != partitions:
        raise InvalidInput("cache", f"was made for {memory.partitions} partitions, not {partitions}")
    if not len(readings):
        return {}
    of_row = memory.of(readings.patient.names)[readings.patient.codes]
    counts = np.bincount(of_row, minlength=partitions)
    if np.count_nonzero(counts) == 1:
        return {int(of_row[0]): readings}
    # Stable, so a patient's rows keep their order; 16 bits make numpy sort by radix.
    order = np.argsort(of_row.astype(np.uint16) if partitions <= 0xFFFF else of_row, kind="stable")
    ends = np.cumsum(counts)
    parts: dict[int, Readings] = {}
    for partition in np.flatnonzero(counts):
        part = readings.take(order[ends[partition] - counts[partition] : ends[partition]])
        parts[int(partition)] = _narrow(part)
    return parts


def _narrow(part: Readings) -> Readings:
    return Readings(
        patient=_used(part.patient),
        device=_used(part.device),
        metric=part.metric,
        value=part.value,
        time_ms=part.time_ms,
        received_ms=part.received_ms,
        boot=part.boot,
        seq=part.seq,
        quality=part.quality,
    )


def _used(column: Labels) -> Labels:
    """Only the names that occur, by counting rather than sorting."""
    used = np.bincount(column.codes, minlength=len(column.names)) > 0
    if used.all():
        return column
    place = np.cumsum(used, dtype=np.int32) - np.int32(1)
    return Labels(codes=place[column.codes], names=tuple(column.names[i] for i in np.flatnonzero(used)))
