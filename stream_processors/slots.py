"""Where a patient and a metric stand in the columns of a partition.

Places are given in the order of first appearance, so they differ after a restart; nothing that is sent may depend on
them. Rows go out in the order of the patients' names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import Labels
from contracts.partitioning import partition_of
from contracts.readings import good_name
from contracts.topics import PARTITIONS
from contracts.vitals import CATALOGUE, INDEX

Index = npt.NDArray[np.intp]
ELSEWHERE: Final = -1


class Slots:
    """The patients of one partition. A slot that is let go is given to the next new patient."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._slot_of: dict[str, int] = {}
        self._names: list[str] = []
        self._free: list[int] = []
        self._by_name: Index | None = None

    def __len__(self) -> int:
        """Slots ever used: the width that columns need."""
        return len(self._names)

    @property
    def patients(self) -> int:
        """How many patients have a slot now."""
        return len(self._slot_of)

    def place(self, patient: Labels) -> Index:
        """The slot of each row; `ELSEWHERE` for a patient of another partition or a name that is none, who get no slot."""
        slots = np.array([*map(self._slot_of.get, patient.names, repeat(ELSEWHERE))], dtype=np.intp)
        if (slots < 0).any():
            # Only names that rows use: a frame's dictionary may hold others.
            for code in np.unique(patient.codes):
                if slots[code] < 0:
                    slots[code] = self._add(patient.names[code])
        return slots[patient.codes]

    def by_name(self) -> Index:
        """The slots in use, in the order of their patients' names."""
        if self._by_name is None:
            self._by_name = np.array([self._slot_of[name] for name in sorted(self._slot_of)], dtype=np.intp)
        return self._by_name

    def labels(self, slots: Index) -> Labels:
        """The names of `slots`, one row each."""
        names = self._names
        return Labels(codes=np.arange(len(slots), dtype=np.int32), names=tuple([names[slot] for slot in slots.tolist()]))

    def save(self) -> dict[str, list[Any]]:
        """Names by slot, and the slots that are free."""
        return {"names": self._names, "free": self._free}

    def load(self, document: Mapping[str, Any]) -> None:
        """Become what `save` gave. Raises `InvalidInput` when patients are repeated or belong to another partition."""
        names, free = document.get("names"), document.get("free")
        if not isinstance(names, list) or not isinstance(free, list) or not all(isinstance(n, str) for n in names):
            raise InvalidInput("snapshot", "does not say which patients it holds")
        if not all(isinstance(slot, int) and 0 <= slot < len(names) for slot in free):
            raise InvalidInput("snapshot", "frees slots that it does not hold")
        gone = set(free)
        self._names, self._free, self._slot_of, self._by_name = list(names), list(free), {}, None
        for slot, name in enumerate(names):
            if slot in gone:
                continue
            if name in self._slot_of or not good_name(name) or partition_of(name, PARTITIONS) != self._partition:
                raise InvalidInput("snapshot", "holds a patient twice, or one of another partition")
            self._slot_of[name] = slot

    def release(self, slots: Index) -> None:
        """Let go of patients of whom nothing is known any more."""
        for slot in slots.tolist():
            del self._slot_of[self._names[slot]]
            self._free.append(slot)
        self._by_name = None

    def _add(self, name: str) -> int:
        if partition_of(name, PARTITIONS) != self._partition or not good_name(name):
            return ELSEWHERE  # not remembered: a stray producer must not fill our memory
        if self._free:
            slot = self._free.pop()
            self._names[slot] = name
        else:
            slot = len(self._names)
            self._names.append(name)
        self._slot_of[name] = slot
        self._by_name = None
        return slot


class Planes:
    """The metrics seen so far, each with a plane in the columns: memory goes to metrics that occur, not to all there are."""

    def __init__(self) -> None:
        self._plane_of = np.full(len(CATALOGUE), -1, dtype=np.intp)
        self.metrics: list[int] = []  # catalogue index of each plane

    def __len__(self) -> int:
        return len(self.metrics)

    def load(self, metrics: Sequence[str]) -> None:
        """Take up the planes of a snapshot, metrics by name. Raises `InvalidInput` for one that the catalogue lacks."""
        for name in metrics:
            metric = INDEX.get(name, -1)
            if metric < 0 or self._plane_of[metric] >= 0:
                raise InvalidInput("snapshot", "holds a metric twice, or one that the catalogue does not know")
            self._plane_of[metric] = len(self.metrics)
            self.metrics.append(metric)

    def place(self, metric: npt.NDArray[np.int16]) -> Index:
        """The plane of each row; new metrics get one."""
        planes = self._plane_of[metric]
        if len(planes) and planes.min() < 0:
            for new in np.unique(metric[planes < 0]):
                self._plane_of[new] = len(self.metrics)
                self.metrics.append(int(new))
            planes = self._plane_of[metric]
        return planes
