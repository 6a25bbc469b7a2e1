"""Which patients train a model, which tune it, and which are locked away: by a hash of the patient's name, so that a patient
is always in the same part, in whatever order or file they come."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt


class Part(StrEnum):
    """A part of the patients of a data set."""

    TRAIN = "train"  # 60 %: weights are fitted here
    VALIDATION = "validation"  # 20 %: early stopping, search, calibration and thresholds
    LOCKED = "locked"  # 20 %: never trained nor tuned on


_BOUNDS: Final = {Part.TRAIN: (0.0, 0.6), Part.VALIDATION: (0.6, 0.8), Part.LOCKED: (0.8, 1.0)}


def share(patients: Sequence[str]) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each patient, even over patients and the same for ever."""
    digests = (hashlib.sha256(name.encode()).digest()[:8] for name in patients)
    return np.array([int.from_bytes(d, "big") for d in digests], dtype=np.float64) / 2.0**64


def members(patients: Sequence[str], part: Part) -> npt.NDArray[np.bool_]:
    """Which of `patients` are in `part`."""
    low, high = _BOUNDS[part]
    number = share(patients)
    return (number >= low) & (number < high)


def folds(patients: Sequence[str], count: int) -> npt.NDArray[np.int64]:
    """The fold of each patient, 0 to `count` - 1, for cross-validation by patient."""
    return np.minimum((share(patients) * count).astype(np.int64), count - 1)
