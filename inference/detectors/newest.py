"""The newest value of each patient and metric and how old it is: the state of scores that are made from spot values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import Array, Frame, Labels
from contracts.windows import Windows
from inference.patients import Patients
from inference.rounds import rounds

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Index = npt.NDArray[np.intp]
Longs = npt.NDArray[np.int64]

NEVER_MS: Final = -(1 << 62)
COVERAGE: Final = 0.5  # of the values a minute should hold


class Newest:
    """Columns of shape (metrics, patients). `instead` names the metric that stands in where the first is not measured."""

    def __init__(self, metrics: Sequence[str], instead: Mapping[str, str]) -> None:
        self.metrics = tuple(metrics)
        self._instead = dict(instead)
        self.patients = Patients()
        self._value = np.empty((len(self.metrics), 0), dtype=np.float32)
        self._time_ms = np.empty((len(self.metrics), 0), dtype=np.int64)

    def slots_of(self, patients: Labels) -> Index:
        """The slot of each row; new patients get a place without values."""
        slots = self.patients.slots_of(patients)
        more = len(self.patients) - self._value.shape[1]
        if more:
            shape = (len(self.metrics), more)
            self._value = np.hstack([self._value, np.full(shape, np.nan, dtype=np.float32)])
            self._time_ms = np.hstack([self._time_ms, np.full(shape, NEVER_MS, dtype=np.int64)])
        return slots

    def read(self, windows: Windows) -> Floats:
        """What each window itself says, shape (metrics, rows), NaN where too little of it was measured."""
        found = np.full((len(self.metrics), len(windows)), np.nan, dtype=np.float32)
        for k, metric in enumerate(self.metrics):
            other = self._instead.get(metric)
            if other is not None:
                found[k] = _of(windows, other)
            first = _of(windows, metric)
            found[k] = np.where(np.isnan(first), found[k], first)
        return found

    def observe(self, slots: Index, end_ms: Longs, value: Floats) -> tuple[Floats, Longs]:
        """Take in one window a patient and answer what is known at its end: values and when they were measured. A window older
        than what is known (late values revised it) changes nothing later, and is told nothing that came after it."""
        seen = ~np.isnan(value)
        newer = seen & (end_ms[None] >= self._time_ms[:, slots])
        metric, row = np.nonzero(newer)
        self._value[metric, slots[row]] = value[metric, row]
        self._time_ms[metric, slots[row]] = end_ms[row]
        known, time_ms = self._value[:, slots], self._time_ms[:, slots]
        known = np.where(time_ms > end_ms[None], np.float32(np.nan), known)
        known = np.where(seen, value, known)
        time_ms = np.where(seen, end_ms[None], time_ms)
        return known.astype(np.float32), np.where(np.isnan(known), NEVER_MS, time_ms)

    def take(self, windows: Windows) -> tuple[Floats, Longs]:
        """Take `windows` in, each patient's in log order: what is known at the end of each window and how old it is,
        milliseconds, both of shape (metrics, rows)."""
        slots, said = self.slots_of(windows.patient), self.read(windows)
        value = np.full(said.shape, np.nan, dtype=np.float32)
        time_ms = np.full(said.shape, NEVER_MS, dtype=np.int64)
        for rows in rounds(slots):
            value[:, rows], time_ms[:, rows] = self.observe(slots[rows], windows.window_end_ms[rows], said[:, rows])
        return value, windows.window_end_ms[None] - time_ms

    def columns(self) -> dict[str, Array | Labels]:
        """The whole state, for a frame."""
        found: dict[str, Array | Labels] = {"patient": self.patients.labels()}
        for k, metric in enumerate(self.metrics):
            found[f"{metric}.value"] = np.ascontiguousarray(self._value[k])
            found[f"{metric}.time_ms"] = np.ascontiguousarray(self._time_ms[k])
        return found

    def restore(self, frame: Frame) -> None:
        """Replace the state with `columns`. Raises `InvalidInput` for what cannot be one."""
        patients = Patients(frame.text("patient").tolist())
        value = np.stack([frame.numbers(f"{m}.value", np.float32) for m in self.metrics])
        time_ms = np.stack([frame.numbers(f"{m}.time_ms", np.int64) for m in self.metrics])
        if not np.array_equal(np.isfinite(value), time_ms != NEVER_MS):
            raise InvalidInput("snapshot", "is damaged: values without a time or times without a value")
        self.patients = patients
        self._value, self._time_ms = value.astype(np.float32), time_ms.astype(np.int64)


def _of(windows: Windows, metric: str) -> Floats:
    value = windows.features.get(f"{metric}.median", windows.features.get(f"{metric}.mean"))
    coverage = windows.features.get(f"{metric}.coverage")
    if value is None or coverage is None:
        return np.full(len(windows), np.nan, dtype=np.float32)
    return np.where(np.isfinite(value) & (coverage >= COVERAGE), value, np.float32(np.nan)).astype(np.float32)
