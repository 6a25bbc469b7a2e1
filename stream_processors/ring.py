"""The ring: the newest reading of each second, metric and patient over the last three minutes, as columns.

Within a second the reading of the highest rank wins, so writing the same rows again changes nothing and the outcome does
not depend on the order of arrival. Of two readings with one rank the first in the log stays: the second is a repeat.
All patients share the seconds, so moving on clears slabs and one patient's clock cannot move another's ring.

Twelve bytes a cell: value and key. One metric of one patient takes 12 x 190 bytes with the default policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.readings import Quality
from stream_processors.clean import QUALITY_BITS, QUALITY_MASK, Rows
from stream_processors.policy import HOP_S, HOPS_AHEAD, SHORT_HOPS, Policy
from stream_processors.slots import Index

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Number = TypeVar("Number", bound=np.generic)

# Of few rows, to look up a member of an enum costs as much as to compare.
_QUESTIONABLE: Final = int(Quality.QUESTIONABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of rows: which of them are now the value of their second (None: all, in order), how many repeated an
    earlier row, and, where asked for, the value that each winning row replaced (NaN: none)."""

    won: Index | None
    repeats: int
    replaced: Floats | None


class Ring:
    """Cells [second, plane, slot]. Hops are numbers of ten seconds since 1970; `head` is the newest with a place."""

    def __init__(self, policy: Policy) -> None:
        self._hops = policy.ring_hops
        seconds = self._hops * HOP_S
        self._value = np.zeros((seconds, 0, 0), dtype=np.float32)
        self._key = np.zeros((seconds, 0, 0), dtype=np.uint64)
        # Which planes were written in a hop, and where a questionable value may be: most can be passed over.
        self._touched = np.zeros((self._hops, 0), dtype=np.bool_)
        self._doubtful = np.zeros((seconds, 0), dtype=np.bool_)
        self.head = -1

    def fit(self, planes: int, slots: int) -> None:
        """Make place for so many metrics and patients."""
        seconds, had_planes, had_slots = self._value.shape
        if planes <= had_planes and slots <= had_slots:
            return
        shape = (seconds, max(planes, had_planes), roomy(slots, had_slots))
        self._value = grown(self._value, shape, fill=np.nan)
        self._key = grown(self._key, shape)
        self._touched = grown(self._touched, (self._hops, shape[1]))
        self._doubtful = grown(self._doubtful, (seconds, shape[1]))

    def move(self, clock_hop: int) -> None:
        """The clock reached `clock_hop`: forget what is now too old, make place for what may come."""
        head = clock_hop + HOPS_AHEAD
        for hop in range(max(self.head + 1, head - self._hops + 1), head + 1):
            at = hop % self._hops * HOP_S
            self._value[at : at + HOP_S] = np.nan
            self._key[at : at + HOP_S] = 0
            self._doubtful[at : at + HOP_S] = False
            self._touched[hop % self._hops] = False
        self.head = head

    def write(self, rows: Rows, hops: npt.NDArray[np.int64], planes: Index, *, replaced: bool) -> Written:
        """Write rows whose `hops` all have a place."""
        width = self._value.shape[2]
        second = rows.time_ms // 1000 - hops * HOP_S + hops % self._hops * HOP_S
        slab = second * self._value.shape[1] + planes
        cell = slab * width + rows.slot
        key, value = self._key.reshape(-1), self._value.reshape(-1)
        before = key[cell]
        numbers = np.arange(len(cell), dtype=np.uint64)
        # Usually no two rows are for the same cell. Writing each row's number and reading it back tells, without sorting.
        key[cell] = numbers
        if bool((key[cell] == numbers).all()):
            chosen, repeats = None, 0
            best, kept = rows.key, rows.value
        else:
            key[cell] = before
            chosen, repeats = _best(cell, rows.key)
            best, kept, cell, before, slab, hops = (
                rows.key[chosen], rows.value[chosen], cell[chosen], before[chosen], slab[chosen], hops[chosen],
            )  # fmt: skip
        rank, old_rank = best >> QUALITY_BITS, before >> QUALITY_BITS
        wins = rank > old_rank
        if not wins.all():
            repeats += int(np.count_nonzero(rank == old_rank))
            key[cell] = np.where(wins, best, before)
            chosen = np.flatnonzero(wins) if chosen is None else chosen[wins]
            best, kept, cell, slab, hops = best[wins], kept[wins], cell[wins], slab[wins], hops[wins]
        else:
            key[cell] = best
        old = value[cell] if replaced else None
        value[cell] = kept
        self._touched[hops % self._hops, slab % self._value.shape[1]] = True
        doubtful = best & QUALITY_MASK == _QUESTIONABLE
        if doubtful.any():
            self._doubtful.reshape(-1)[slab[doubtful]] = True
        return Written(won=chosen, repeats=repeats, replaced=old)

    def save(self, slots: int) -> dict[str, npt.NDArray[Any]]:
        """The whole state of the first `slots` patients."""
        return {
            "ring.value": self._value[:, :, :slots], "ring.key": self._key[:, :, :slots], "ring.touched": self._touched,
            "ring.doubtful": self._doubtful, "ring.head": np.array([self.head]),
        }  # fmt: skip

    def load(self, arrays: Mapping[str, npt.NDArray[Any]], planes: int, slots: int) -> None:
        """Become what `save` gave. Raises `InvalidInput` when it does not fit this policy."""
        seconds = self._hops * HOP_S
        self._value = fitting(arrays, "ring.value", np.float32, (seconds, planes, slots))
        self._key = fitting(arrays, "ring.key", np.uint64, (seconds, planes, slots))
        self._touched = fitting(arrays, "ring.touched", np.bool_, (self._hops, planes))
        self._doubtful = fitting(arrays, "ring.doubtful", np.bool_, (seconds, planes))
        self.head = int(fitting(arrays, "ring.head", np.int64, (1,))[0])

    def planes_of(self, end_hop: int) -> Index:
        """The planes with any reading in the short window that ends with `end_hop`."""
        hops = np.arange(end_hop - SHORT_HOPS, end_hop) % self._hops
        return np.flatnonzero(self._touched[hops].any(axis=0))

    def window(self, end_hop: int, planes: Index, slots: Index) -> Floats:
        """The values of a short window, shape (60 seconds, planes, slots), oldest first; NaN where nothing is usable."""
        found = np.empty((SHORT_HOPS * HOP_S, len(planes), len(slots)), dtype=np.float32)
        whole = slice(None) if len(planes) == self._value.shape[1] else planes
        for number in range(SHORT_HOPS):
            at = (end_hop - SHORT_HOPS + number) % self._hops * HOP_S
            part = self._value[at : at + HOP_S, whole]
            np.take(part, slots, axis=2, out=found[number * HOP_S : (number + 1) * HOP_S], mode="clip")
        return found

    def questionable(self, end_hop: int, planes: Index, slots: Index) -> npt.NDArray[np.uint8]:
        """How many values of a short window are questionable, shape (planes, slots)."""
        found = np.zeros((len(planes), len(slots)), dtype=np.uint8)
        for number in range(SHORT_HOPS):
            at = (end_hop - SHORT_HOPS + number) % self._hops * HOP_S
            seconds, rows = np.nonzero(self._doubtful[at : at + HOP_S, planes])
            for second, row in zip(seconds.tolist(), rows.tolist(), strict=True):
                key = self._key[at + second, planes[row], slots]
                found[row] += key & QUALITY_MASK == _QUESTIONABLE
        return found


def _best(cell: Index, key: npt.NDArray[np.uint64]) -> tuple[Index, int]:
    """Of rows for the same cell the one of the highest rank, of equal ranks the first. And how many rows are repeats."""
    rank = key >> QUALITY_BITS
    order = np.lexsort((-np.arange(len(cell)), rank, cell))
    new_cell = cell[order][1:] != cell[order][:-1]
    repeats = ~new_cell & (rank[order][1:] == rank[order][:-1])
    return np.sort(order[np.append(new_cell, True)]), int(np.count_nonzero(repeats))


def roomy(wanted: int, had: int) -> int:
    """A width for `wanted` slots that leaves room, so that columns are not copied for each new patient."""
    return had if wanted <= had else -(-max(wanted, had + had // 4) // 16) * 16


def fitting(
    arrays: Mapping[str, npt.NDArray[Any]], name: str, dtype: type[Number], shape: tuple[int, ...]
) -> npt.NDArray[Number]:
    """The array of this name. Raises `InvalidInput` when it is missing, or of another type or shape."""
    found = arrays.get(name)
    if found is None or found.dtype != np.dtype(dtype) or found.shape != shape:
        raise InvalidInput("snapshot", f"has no {name} of this room's type and shape")
    return found


def grown(array: npt.NDArray[Number], shape: tuple[int, ...], *, fill: float = 0) -> npt.NDArray[Number]:
    """A copy of `array` with more columns, `fill` where they are new."""
    bigger = np.full(shape, fill, dtype=array.dtype)
    bigger[tuple(slice(n) for n in array.shape)] = array
    return bigger
