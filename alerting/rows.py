"""Readings as the rules see them: columns of numbers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.conditions import Bools, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Accepted readings of one partition in log order. `record` numbers the record a row came in, `slot` its patient,
    `device` its device (-1: not kept). `ahead`: it was stamped well after it was received."""

    record: Ints
    slot: Ints
    device: npt.NDArray[np.int32]
    metric: npt.NDArray[np.int16]
    value: npt.NDArray[np.float32]
    time_ms: Ints
    boot: npt.NDArray[np.int32]
    seq: Ints
    quality: npt.NDArray[np.uint8]
    implausible: Bools
    ahead: Bools

    def __len__(self) -> int:
        return len(self.value)

    def where(self, chosen: Bools | npt.NDArray[np.intp]) -> Rows:
        """The chosen rows, by mask or index."""
        return Rows(**{name: getattr(self, name)[chosen] for name in _COLUMNS})


_COLUMNS: Final = tuple(column.name for column in fields(Rows))
