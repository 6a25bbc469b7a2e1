"""Which vitals a column of the feature set is made of: what goes when a sensor is lost, and what an explanation may name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from inference.features import METRICS

_OF_NEWS2: Final = ("respiratory_rate", "spo2", "systolic_bp", "heart_rate", "temperature")
_CROSS: Final = {
    "news2.total": _OF_NEWS2,
    "news2.known": _OF_NEWS2,
    "shock_index": ("heart_rate", "systolic_bp"),
    "mean_shock_index": ("heart_rate", "mean_bp"),
    "pulse_pressure": ("systolic_bp", "diastolic_bp"),
    "spo2_per_breath": ("spo2", "respiratory_rate"),
    "heart_rate_for_temperature": ("heart_rate", "temperature"),
}


def vitals_of(column: str) -> tuple[str, ...]:
    """The vitals of a feature, a channel, or a vital itself. Raises `InvalidInput` for a column of none.

    >>> vitals_of("news2.spo2"), vitals_of("pulse_pressure")
    (('spo2',), ('systolic_bp', 'diastolic_bp'))
    """
    if column in _CROSS:
        return _CROSS[column]
    for name in column.split("."):
        if name in METRICS:
            return (name,)
    raise InvalidInput("columns", f"{column!r} is made of no vital")


def membership(columns: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Shape (vitals, columns): whether a column is made of a vital, alone or with others."""
    of_columns = [vitals_of(column) for column in columns]
    return np.array([[metric in of for of in of_columns] for metric in METRICS], dtype=np.bool_)
