"""Which windows were scored before. A restarted processor sends windows again, and a model that has learnt meanwhile would
give another score for the same window: the same log would no longer give the same scores."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.frames import Array, Labels, decode, encode
from contracts.windows import HOP_MS, Windows
from inference.patients import Patients

STATE_SCHEMA: Final = "scored-windows/1"
REMEMBERED: Final = 32
"""Window ends kept per patient. Windows are revised for some three minutes, 18 ends; an older one can only be a repeat."""


class Repeats:
    """The newest revision scored of each patient's last window ends, shape (patients, REMEMBERED)."""

    def __init__(self) -> None:
        self._patients = Patients()
        self._ends = np.empty((0, REMEMBERED), dtype=np.int64)
        self._late = np.empty((0, REMEMBERED), dtype=np.int32)

    def new(self, windows: Windows) -> npt.NDArray[np.bool_]:
        """Rows that were not scored before, which are counted as scored from now on: of a window that did not come before,
        or came with fewer late values. Of two rows of one window the last one holds."""
        found = np.zeros(len(windows), dtype=np.bool_)
        slots = self._slots_of(windows.patient)
        for end in np.unique(windows.window_end_ms).tolist():
            rows = np.flatnonzero(windows.window_end_ms == end)
            _, from_behind = np.unique(slots[rows[::-1]], return_index=True)
            rows = rows[len(rows) - 1 - from_behind]
            at, place = slots[rows], (end // HOP_MS) % REMEMBERED
            before, late = self._ends[at, place], windows.late[rows]
            new = (end > before) | ((end == before) & (late > self._late[at, place]))
            self._ends[at[new], place], self._late[at[new], place] = end, late[new]
            found[rows[new]] = True
        return found

    def snapshot(self) -> bytes:
        """The whole state."""
        columns: dict[str, Array | Labels] = {"patient": self._patients.labels()}
        for place in range(REMEMBERED):
            columns[f"end_ms.{place}"] = np.ascontiguousarray(self._ends[:, place])
            columns[f"late.{place}"] = np.ascontiguousarray(self._late[:, place])
        return encode(STATE_SCHEMA, columns)

    def restore(self, snapshot: bytes) -> None:
        """Replace the state. Raises `InvalidInput` when `snapshot` is not one."""
        frame = decode(snapshot, STATE_SCHEMA)
        patients = Patients(frame.text("patient").tolist())
        places = range(REMEMBERED)
        self._ends = np.stack([frame.numbers(f"end_ms.{place}", np.int64) for place in places], axis=1)
        self._late = np.stack([frame.numbers(f"late.{place}", np.int32) for place in places], axis=1)
        self._patients = patients

    def _slots_of(self, patients: Labels) -> npt.NDArray[np.intp]:
        slots = self._patients.slots_of(patients)
        new = len(self._patients) - len(self._ends)
        if new:
            self._ends = np.vstack([self._ends, np.full((new, REMEMBERED), -1, dtype=np.int64)])
            self._late = np.vstack([self._late, np.zeros((new, REMEMBERED), dtype=np.int32)])
        return slots
