"""What a forecaster must beat: the newest value goes on (persistence), the patient's own usual comes back (personal baseline).

Both are Student's t of four degrees of freedom. The scale of each vital and distance is the one that is likeliest on the very
patients judged, which flatters them: to beat them is a little harder than it would be in use.

No scale counts as narrower than the rounding of its vital: of whole numbers that stand still for minutes, a rival with a scale of
nothing would be infinitely likely, and would have foretold nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inference.datasets.minutes import ROUNDED
from inference.detectors.personal_baseline import MAD_TO_SIGMA, MINUTELY, learnt
from inference.evaluate.likelihood import surprise

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

FREEDOM: Final = 4.0
_SCALES: Final = np.geomspace(0.01, 4, 60)
_ENOUGH: Final = 20_000  # values to fit a scale on
ROUNDING: Final = (ROUNDED / np.sqrt(np.float32(12))).astype(np.float32)
"""Standard deviation of what rounding takes away, by vital, in its spreads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """What is said after each minute of any later one, shape (patients, minutes, vitals), NaN before there is anything to say.
    `spread` is told up to a factor."""

    mean: Floats
    spread: Floats


def persistence(minutes: Floats) -> Rival:
    """At each minute the newest value so far."""
    found = minutes.copy()
    for t in range(1, found.shape[1]):
        found[:, t] = np.where(np.isnan(found[:, t]), found[:, t - 1], found[:, t])
    return Rival(mean=found, spread=np.ones_like(found))


def personal(minutes: Floats) -> Rival:
    """At each minute the median and the deviation that the online baseline has learnt. `minutes`: in the spreads of the
    population, from its centre."""
    median = np.zeros((len(minutes), minutes.shape[2]), dtype=np.float32)
    mad, count = np.full_like(median, 1 / MAD_TO_SIGMA), np.zeros_like(median)
    mean, spread = np.empty_like(minutes), np.empty_like(minutes)
    for t in range(minutes.shape[1]):
        there = ~np.isnan(minutes[:, t])
        found = learnt(median, mad, count, minutes[:, t], np.ones(1, np.float32), MINUTELY)
        median, mad = np.where(there, found[0], median), np.where(there, found[1], mad)
        count += there
        mean[:, t], spread[:, t] = median, mad * MAD_TO_SIGMA
    return Rival(mean=mean, spread=spread)


def fitted_scale(off: npt.NDArray[np.floating[Any]], spread: Floats, least: float) -> float:
    """The factor of `spread` that makes what came likeliest, no scale below `least`; 1 when nothing came. One axis."""
    some = slice(None, None, max(1, len(off) // _ENOUGH))
    off, spread = off[some], spread[some]
    if not len(off):
        return 1.0
    found = [surprise(off, np.maximum(spread * scale, least), FREEDOM).mean() for scale in _SCALES]
    return float(_SCALES[int(np.argmin(found))])
