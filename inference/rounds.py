"""Rows of a frame in rounds: the first of each patient, then the second of each, and so on, in log order.

Patients do not depend on each other, so working off a frame round by round gives exactly what row by row would."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.intp]


def rounds(slots: Index) -> Iterator[Index]:
    """Row numbers, each round with at most one row a patient.

    >>> [r.tolist() for r in rounds(np.array([3, 5, 3, 3]))]
    [[0, 1], [2], [3]]
    """
    order = np.argsort(slots, kind="stable")
    ordered = slots[order]
    starts = (
        np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(slots) else np.empty(0, np.intp)
    )
    sizes = np.diff(np.concatenate([starts, [len(slots)]]))
    number = np.empty(len(slots), dtype=np.intp)
    number[order] = np.arange(len(slots)) - np.repeat(starts, sizes)
    for each in range(int(sizes.max(initial=0))):
        yield np.flatnonzero(number == each)
