"""Which readings were written before, by (device, boot, seq). Pure, columnar, bounded.

For each (device, boot) the highest sequence number and a bitmap of the last 4,096 are kept; the least recently used
ones are forgotten beyond a bound. What is not known is let through: the state behind the topic is idempotent, so a
repeat costs a little work and never a second alarm, while a reading taken for a repeat would be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.frames import Labels
from contracts.readings import Readings

HORIZON: Final = 4096
_WORDS: Final = HORIZON // 64
_BOOT_BITS: Final = 16
_SEQ_BITS: Final = 36
_ONE: Final = np.uint64(1)
_FULL: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """The ids of a batch: row i is `seq[i]` of `keys[key_of_row[i]]`, a key being (device, boot)."""

    keys: tuple[tuple[str, int], ...]
    key_of_row: npt.NDArray[np.intp]
    seq: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Identities:
        """The chosen rows; the keys are shared, not trimmed."""
        return Identities(keys=self.keys, key_of_row=self.key_of_row[rows], seq=self.seq[rows])


def identities(readings: Readings) -> Identities:
    """The ids of judged readings: boot and seq are within their bounds."""
    device = _unique_names(readings.device)
    packed = (device.codes.astype(np.int64) << _BOOT_BITS) | readings.boot
    if len(packed) and (packed == packed[0]).all():
        found, key_of_row = packed[:1], np.zeros(len(packed), dtype=np.intp)
    else:
        found, key_of_row = np.unique(packed, return_inverse=True)
    keys = tuple((device.names[key >> _BOOT_BITS], key & ((1 << _BOOT_BITS) - 1)) for key in found.tolist())
    return Identities(keys=keys, key_of_row=key_of_row, seq=readings.seq)


def joined(parts: Sequence[Identities]) -> Identities:
    """All ids of `parts`, which must not be empty. A key may then stand twice; `Seen` does not mind."""
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0, *(len(part.keys) for part in parts[:-1])])
    return Identities(
        keys=tuple(key for part in parts for key in part.keys),
        key_of_row=np.concatenate([part.key_of_row + offset for part, offset in zip(parts, offsets, strict=True)]),
        seq=np.concatenate([part.seq for part in parts]),
    )


def first_of_each(ids: Identities) -> npt.NDArray[np.intp]:
    """For each row the first row of the batch with the same id: its own number unless it is a repeat."""
    count = len(ids)
    packed = (ids.key_of_row.astype(np.uint64) << np.uint64(_SEQ_BITS)) | ids.seq.astype(np.uint64)
    if count < 2 or bool((packed[1:] > packed[:-1]).all()):
        return np.arange(count, dtype=np.intp)
    _, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], dtype=np.intp)


class Seen:
    """The ids written before. `capacity` bounds the number of (device, boot): 0.5 KB each. Not thread-safe."""

    def __init__(self, capacity: int = 65_536) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self._capacity = capacity
        self._slots: dict[tuple[str, int], int] = {}  # in order of use, the oldest first
        rows = min(capacity, 64)
        self._high = np.full(rows, -1, dtype=np.int64)
        self._bits = np.zeros((rows, _WORDS), dtype=np.uint64)

    def __len__(self) -> int:
        return len(self._slots)

    def known(self, ids: Identities) -> npt.NDArray[np.bool_]:
        """For each row whether it was registered, as far as the memory goes."""
        slots = np.array([self._slots.get(key, -1) for key in ids.keys] or [-1], dtype=np.intp)
        if (slots < 0).all():
            return np.zeros(len(ids), dtype=np.bool_)
        slot = slots[ids.key_of_row]
        age = self._high[slot] - ids.seq  # slot -1 reads the last row; masked below
        place = ids.seq & (HORIZON - 1)
        bit = (self._bits[slot, place >> 6] >> (place & 63).astype(np.uint64)) & _ONE
        return np.asarray((slot >= 0) & (age >= 0) & (age < HORIZON) & (bit != 0), dtype=np.bool_)

    def register(self, ids: Identities) -> None:
        """Remember these rows: Kafka has them. Rows further back than the horizon leave no trace."""
        used = np.zeros(len(ids.keys), dtype=np.bool_)
        used[ids.key_of_row] = True
        present = np.flatnonzero(used)
        for start in range(0, len(present), self._capacity):  # more keys at once than fit: the last ones stay
            some = present[start : start + self._capacity]
            slot_of_key = np.full(len(ids.keys), -1, dtype=np.intp)
            slot_of_key[some] = [self._slot(ids.keys[key]) for key in some.tolist()]
            slot, seq = slot_of_key[ids.key_of_row], ids.seq
            if len(some) < len(present):
                slot, seq = slot[slot >= 0], seq[slot >= 0]
            self._set(slot, seq, np.array(tuple(set(slot_of_key[some].tolist())), dtype=np.intp))

    def _set(self, slot: npt.NDArray[np.intp], seq: npt.NDArray[np.int64], touched: npt.NDArray[np.intp]) -> None:
        before = self._high[touched]
        np.maximum.at(self._high, slot, seq)
        after = self._high[touched]
        moved = np.flatnonzero(after > before)
        if len(moved):
            touched, before, count = touched[moved], before[moved], (after - before)[moved]
            if count.max() <= 64:
                self._forget_few(touched, (before + 1) & (HORIZON - 1), count)
            else:
                self._forget(touched, (before + 1) & (HORIZON - 1), np.minimum(count, HORIZON))
        recent = self._high[slot] - seq < HORIZON
        if not recent.all():
            slot, seq = slot[recent], seq[recent]
        place = seq & (HORIZON - 1)
        np.bitwise_or.at(self._bits, (slot, place >> 6), _ONE << (place & 63).astype(np.uint64))

    def _forget(self, slots: npt.NDArray[np.intp], start: npt.NDArray[np.int64], count: npt.NDArray[np.int64]) -> None:
        """Clear `count` places from `start`, in the ring: until now they stood for numbers 4,096 lower."""
        word = np.arange(_WORDS, dtype=np.int64) * 64
        for chunk in range(0, len(slots), 1024):
            part = slice(chunk, chunk + 1024)
            begin = start[part, None] - word
            end = begin + count[part, None]
            # The range may run over the end of the ring once: the same range again, one ring earlier.
            clear = _between(begin, end) | _between(begin - HORIZON, end - HORIZON)
            self._bits[slots[part]] &= ~clear

    def _forget_few(
        self, slots: npt.NDArray[np.intp], start: npt.NDArray[np.int64], count: npt.NDArray[np.int64]
    ) -> None:
        """The same for at most 64 places, which lie in two neighbouring words. No slot stands twice."""
        word, bit = start >> 6, (start & 63).astype(np.uint64)
        places = _FULL >> (64 - count).astype(np.uint64)
        self._bits[slots, word] &= ~(places << bit)
        # Shifting a word by 64 is not defined, hence by one first.
        self._bits[slots, (word + 1) & (_WORDS - 1)] &= ~((places >> _ONE) >> (np.uint64(63) - bit))

    def _slot(self, key: tuple[str, int]) -> int:
        slot = self._slots.pop(key, None)
        if slot is None:
            slot = self._new_slot()
        self._slots[key] = slot
        return slot

    def _new_slot(self) -> int:
        if len(self._slots) >= self._capacity:
            slot = self._slots.pop(next(iter(self._slots)))
        else:
            slot = len(self._slots)
            if slot == len(self._high):
                rows = min(self._capacity, 2 * slot)
                self._high = np.concatenate([self._high, np.full(rows - slot, -1, dtype=np.int64)])
                self._bits = np.concatenate([self._bits, np.zeros((rows - slot, _WORDS), dtype=np.uint64)])
        self._high[slot] = -1
        self._bits[slot] = 0
        return slot


def _between(begin: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Words whose bits `begin` to `end` (exclusive) are set; positions outside 0..63 are cut off."""
    return _below(end) & ~_below(begin)


def _below(position: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Words whose bits below `position` are set."""
    bits = np.clip(position, 0, 64).astype(np.uint64)
    return np.where(bits == 64, _FULL, (_ONE << (bits & np.uint64(63))) - _ONE)


def _unique_names(column: Labels) -> Labels:
    """The same column with every name once: two codes for one name would be two devices."""
    index: dict[str, int] = {}
    codes = [index.setdefault(name, len(index)) for name in column.names]
    if len(index) == len(column.names):
        return column
    return Labels(codes=np.array(codes, dtype=np.int32)[column.codes], names=tuple(index))
