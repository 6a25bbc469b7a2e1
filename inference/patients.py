"""Patients of a partition and their slots in columnar state, in order of appearance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import Labels


class Patients:
    """Name to slot. A slot is never given back, so that a column stays one patient's."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._slots = {name: slot for slot, name in enumerate(names)}
        if len(self._slots) != len(names):
            raise InvalidInput("patient", "occurs twice")

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def names(self) -> tuple[str, ...]:
        """In order of slots."""
        return tuple(self._slots)

    def slots_of(self, patients: Labels) -> npt.NDArray[np.intp]:
        """The slot of each row; a new patient gets the next one."""
        found = [*map(self._slots.get, patients.names, repeat(-1))]
        if -1 in found:
            found = [self._slots.setdefault(name, len(self._slots)) for name in patients.names]
        return np.array(found or [0], dtype=np.intp)[patients.codes]

    def labels(self) -> Labels:
        """One row a slot, for snapshots."""
        return Labels(codes=np.arange(len(self._slots), dtype=np.int32), names=self.names)
