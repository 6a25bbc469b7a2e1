"""What is kept of each whole minute, from which the five-minute windows are combined.

A minute is the short window that ends on it, so keeping it costs no second computation. Stored as single precision: what
is sent is no finer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stream_processors.policy import LONG_HOPS, SHORT_HOPS, Policy
from stream_processors.ring import fitting, grown, roomy
from stream_processors.slots import Index
from stream_processors.statistics import FIELDS, Moments, combine

_STORED: Final[dict[str, npt.DTypeLike]] = {
    "count": np.uint8, "good": np.uint8, "sum_t": np.uint16, "sum_tt": np.uint32,
    "mean": np.float32, "m2": np.float32, "cov": np.float32, "low": np.float32, "high": np.float32, "last": np.float32,
}  # fmt: skip
_MINUTES: Final = LONG_HOPS // SHORT_HOPS


class Minutes:
    """Moments [minute, plane, slot] of the last few whole minutes. A minute is named by the hop that it ends with."""

    def __init__(self, policy: Policy) -> None:
        # The oldest late reading revises long windows of the five minutes up to its own; the newest may be a hop ahead.
        self._size = _MINUTES + -(-(policy.revise_hops + 1) // SHORT_HOPS) + 1
        self._fields: dict[str, npt.NDArray[Any]] = {
            name: np.zeros((self._size, 0, 0), dtype=dtype) for name, dtype in _STORED.items()
        }

    def fit(self, planes: int, slots: int) -> None:
        """Make place for so many metrics and patients."""
        _, had_planes, had_slots = self._fields["count"].shape
        if planes > had_planes or slots > had_slots:
            shape = (self._size, max(planes, had_planes), roomy(slots, had_slots))
            self._fields = {name: grown(array, shape) for name, array in self._fields.items()}

    def forget(self, end_hop: int, slots: Index) -> None:
        """Nothing is known of this minute of `slots` (yet)."""
        self._fields["count"][end_hop // SHORT_HOPS % self._size][:, slots] = 0

    def forget_all(self) -> None:
        """Nothing is known of any minute of anyone."""
        self._fields["count"][:] = 0

    def keep(self, end_hop: int, planes: Index, slots: Index, moments: Moments) -> None:
        """Keep the minute that ends with `end_hop`; other planes of it are empty."""
        self.forget(end_hop, slots)
        at = (end_hop // SHORT_HOPS % self._size, planes[:, None], slots)
        empty = moments.count == 0
        for name, field in zip(FIELDS, moments, strict=True):
            self._fields[name][at] = np.where(empty, 0, field)

    def save(self, slots: int) -> dict[str, npt.NDArray[Any]]:
        """The whole state of the first `slots` patients."""
        return {f"minutes.{name}": array[:, :, :slots] for name, array in self._fields.items()}

    def load(self, arrays: Mapping[str, npt.NDArray[Any]], planes: int, slots: int) -> None:
        """Become what `save` gave. Raises `InvalidInput` when it does not fit this policy."""
        shape = (self._size, planes, slots)
        self._fields = {
            name: fitting(arrays, f"minutes.{name}", np.dtype(dtype).type, shape) for name, dtype in _STORED.items()
        }

    def long_window(self, end_hop: int, slots: Index) -> tuple[Index, Moments]:
        """The planes with any value in the five minutes up to `end_hop`, and their moments, shape (planes, slots)."""
        ends = range(end_hop // SHORT_HOPS - _MINUTES + 1, end_hop // SHORT_HOPS + 1)
        at = [end % self._size for end in ends]
        planes = np.flatnonzero(self._fields["count"][at][:, :, slots].any(axis=(0, 2)))
        parts = []
        for minute in at:
            where = (minute, planes[:, None], slots)
            known = self._fields["count"][where] > 0  # beside a count of 0 stands whatever was there before
            parts.append(Moments(**{name: np.where(known, self._fields[name][where], 0.0) for name in FIELDS}))
        return planes, combine(parts)
