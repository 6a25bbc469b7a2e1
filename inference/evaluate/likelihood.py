"""How likely values were under what was forecast, and how wide a central interval is: Student's t, or the normal distribution."""

from __future__ import annotations

from functools import cache
from math import lgamma, log, pi
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

_REACH: Final = 60.0  # scales; the central nine tenths of three degrees of freedom end at 2.4
_POINTS: Final = 1_200_001


def surprise(off: npt.NDArray[np.floating[Any]], scale: npt.NDArray[np.floating[Any]], freedom: float | None) -> Doubles:
    """Negative log-likelihood of values that came `off` their forecast. `freedom` None: normal."""
    square = (off.astype(np.float64) / scale) ** 2
    if freedom is None:
        return np.asarray(np.log(scale) + 0.5 * log(2 * pi) + square / 2)
    constant = lgamma(freedom / 2) - lgamma((freedom + 1) / 2) + 0.5 * log(freedom * pi)
    return np.asarray(np.log(scale) + constant + (freedom + 1) / 2 * np.log1p(square / freedom))


@cache
def half_width(share: float, freedom: float | None) -> float:
    """Of the central interval that holds `share` of the values, in scales.

    >>> round(half_width(0.9, None), 3), round(half_width(0.9, 4), 3), round(half_width(0.5, 4), 3)
    (1.645, 2.132, 0.741)
    """
    if freedom is None:
        return NormalDist().inv_cdf((1 + share) / 2)
    at = np.linspace(0, _REACH, _POINTS)
    density = np.exp(-surprise(at, np.ones(1), freedom))
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2) * (at[1] - at[0])])
    return float(np.interp(share / 2, mass, at))
