"""Rows that wait for their tick or their time, in the order they came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from stream_processors.clean import Rows, join
from stream_processors.ring import fitting

_FIELDS: Final[dict[str, Any]] = {
    "slot": np.intp, "metric": np.int16, "value": np.float32, "time_ms": np.int64, "key": np.uint64
}  # fmt: skip


class Waiting:
    """A queue of rows. What it holds depends on the rows alone, not on how they were put in."""

    def __init__(self) -> None:
        self._parts: list[Rows] = []
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, rows: Rows) -> None:
        """Append `rows`."""
        if len(rows):
            self._parts.append(rows)
            self._rows += len(rows)

    def save(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """The rows that wait, as arrays that begin with `name`."""
        if not self._parts:
            return {}
        self._parts = [join(self._parts)]
        return {f"{name}.{field}": getattr(self._parts[0], field) for field in _FIELDS}

    def load(self, arrays: Mapping[str, npt.NDArray[Any]], name: str, slots: int) -> None:
        """Become what `save` gave. Raises `InvalidInput` when it does not fit."""
        if f"{name}.slot" not in arrays:
            return
        shape = arrays[f"{name}.slot"].shape
        rows = Rows(**{field: fitting(arrays, f"{name}.{field}", kind, shape) for field, kind in _FIELDS.items()})
        if len(rows) and not 0 <= rows.slot.min() <= rows.slot.max() < slots:
            raise InvalidInput("snapshot", f"names patients in {name} that it does not hold")
        self.add(rows)

    def all(self) -> Rows | None:
        """Take out everything; None when nothing waits."""
        if not self._parts:
            return None
        rows = join(self._parts)
        self._parts, self._rows = [], 0
        return rows

    def first(self, count: int) -> Rows:
        """Take out the first `count` rows. There must be so many."""
        rows = join(self._parts)
        self._parts, self._rows = [], 0
        self.add(rows.take(slice(count, None)))
        return rows.take(slice(count))

    def limit(self, count: int) -> int:
        """Keep the last `count` rows; how many were let go."""
        excess = self._rows - count
        if excess <= 0:
            return 0
        self.first(excess)
        return excess
