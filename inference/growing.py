"""Columns that grow with the patients of a partition."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", bound=np.generic)


def wider(array: npt.NDArray[T], more: int, fill: float) -> npt.NDArray[T]:
    """`array` with `more` places at the end of its last axis."""
    return np.concatenate([array, np.full((*array.shape[:-1], more), fill, dtype=array.dtype)], axis=-1)
