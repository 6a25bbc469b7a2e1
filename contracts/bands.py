"""Points by band, as early-warning charts print them: a value falls into one band and has its points. Pure, columnar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_HALF_STEP: Final = 1e-3  # of a step: a float32 that is meant to lie on a half step lies within this of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """`upper`: the highest value of each band but the last, in steps of `resolution`. `points` has one entry more.

    Values are rounded to the resolution of the chart before they are banded, so that nothing falls between two bands; an exact
    half step goes to the more abnormal band.
    """

    resolution: float
    upper: tuple[int, ...]
    points: tuple[int, ...]

    def of(self, value: Floats) -> Floats:
        """Points of `value`, any shape, float32; NaN where `value` is NaN."""
        steps = value.astype(np.float64) / self.resolution
        table = np.array(self.points, dtype=np.float32)
        upper = np.array(self.upper, dtype=np.float64)
        up = table[np.searchsorted(upper, np.floor(steps + 0.5 + _HALF_STEP))]
        down = table[np.searchsorted(upper, np.ceil(steps - 0.5 - _HALF_STEP))]
        return np.where(np.isnan(value), np.float32(np.nan), np.maximum(up, down)).astype(np.float32)

    def of_one(self, value: float) -> int:
        """Points of a single value that is there."""
        return int(self.of(np.array([value], dtype=np.float32))[0])
