"""Centre, spread and quantiles of each column, from training patients alone. Missing values do not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
CLIP: Final = 8.0
_IQR_TO_SIGMA: Final = 1.349  # for a normal distribution
_ROWS: Final = 60_000  # a quantile of more rows is no better
_LEAST_SPREAD: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Shapes (columns,); a column that is never there has centre 0 and spread 1."""

    centre: Floats
    spread: Floats

    def apply(self, inputs: Floats) -> Floats:
        """Scaled and clipped, NaN kept: what serving gives the graph, operation by operation."""
        return np.asarray(
            np.clip((inputs - self.centre) / self.spread, -np.float32(CLIP), np.float32(CLIP)), dtype=np.float32
        )


def robust(inputs: Floats) -> Scaling:
    """Median, and the interquartile range as a standard deviation, or the plain one where half of the values are equal."""
    columns = _sample(inputs)
    centre, spread = np.zeros(columns.shape[1], np.float32), np.ones(columns.shape[1], np.float32)
    for k, column in enumerate(columns.T):
        known = column[~np.isnan(column)]
        if len(known) == 0:
            continue
        low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
        centre[k] = middle
        wide = (high - low) / _IQR_TO_SIGMA
        spread[k] = max(wide if wide > _LEAST_SPREAD else float(known.std()), _LEAST_SPREAD)
    return Scaling(centre=centre, spread=spread)


def edges(scaled: Floats, bins: int) -> Floats:
    """Quantiles of each column, shape (columns, bins + 1), strictly rising: equal ones are spread over a little."""
    columns = _sample(scaled)
    found = np.tile(np.linspace(-2, 2, bins + 1, dtype=np.float32), (columns.shape[1], 1))
    levels = np.linspace(0.01, 0.99, bins + 1)
    for k, column in enumerate(columns.T):
        known = column[~np.isnan(column)]
        if len(known):
            found[k] = _rising(np.quantile(known, levels), float(known.min()), float(known.max()))
    return found


def _rising(levels: npt.NDArray[np.float64], least: float, most: float) -> Floats:
    """Equal quantiles, as of counts, become even steps over the range."""
    distinct = np.unique(levels)
    if len(distinct) < len(levels):
        low, high = least, max(most, least + 1.0)
        filled = np.union1d(distinct, np.linspace(low, high, len(levels)))
        keep = np.linspace(0, len(filled) - 1, len(levels)).round().astype(int)
        distinct = filled[keep]
    steps = np.maximum(np.diff(distinct), 1e-3)
    return np.concatenate([[distinct[0]], distinct[0] + np.cumsum(steps)]).astype(np.float32)


def _sample(inputs: Floats) -> Floats:
    """Evenly spread rows, at most some ten thousands; of a sequence its newest step."""
    stride = max(1, len(inputs) // _ROWS)
    some = inputs[::stride]
    return some if some.ndim == 2 else some[:, -1]
