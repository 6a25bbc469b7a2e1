"""Points of an early-warning table for many patients at once. Pure, columnar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alerting.rules.warning import UNKNOWN_COUNTS_AS_YEARS, Table
from contracts.vitals import INDEX

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """`total`: the sum of the known points of each patient. `known`: how many parts are known of `parts`, both 0 where the table
    has no band for the patient's age."""

    total: Floats
    known: npt.NDArray[np.int64]
    parts: npt.NDArray[np.int64]


def points(table: Table, now: Floats, age_years: Floats) -> Points:
    """`now`: what stands of each patient and metric of the catalogue, NaN where nothing does, shape (patients, metrics).
    `age_years`: NaN where nobody knows it."""
    age = np.where(np.isnan(age_years), np.float32(UNKNOWN_COUNTS_AS_YEARS), age_years)
    total = np.zeros(len(now), dtype=np.float32)
    known, parts = np.zeros(len(now), dtype=np.int64), np.zeros(len(now), dtype=np.int64)
    for band in table.bands:
        rows = np.flatnonzero((age >= band.from_years) & (age < band.below_years))
        if not len(rows):
            continue
        parts[rows] = len(band.parts)
        for part in band.parts:
            given = part.bands.of(now[rows, INDEX[part.metric]])
            there = ~np.isnan(given)
            total[rows] += np.where(there, given, np.float32(0))
            known[rows] += there
    return Points(total=total, known=known, parts=parts)
