"""PCA residual: how badly a patient's vital signs fit the way they usually go together. The humble rival of learnt models.

The newest values are standardised and explained by a few common directions (Jackson & Mudholkar 1979, the Q statistic); what
is left over, squared and averaged over the metrics that are there, is the score. It knows no time and no outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import decode, encode
from contracts.scores import STATUSES, Scores, Status
from contracts.vitals import BY_NAME
from contracts.windows import Windows
from inference.detectors.newest import Newest

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

STATE_SCHEMA: Final = "pca-residual-state/1"
INPUTS: Final = ("heart_rate", "spo2", "temperature", "systolic_bp", "mean_bp", "diastolic_bp", "respiratory_rate")
_OK, _INSUFFICIENT = STATUSES.index(Status.OK), STATUSES.index(Status.INSUFFICIENT)
_LIMIT: Final = np.float32(8)  # spreads: one artefact must not be all of the score
_RIDGE: Final = np.float32(0.02)  # keeps the directions apart where few metrics are there
_SPREAD: Final = np.array([BY_NAME[m].spread for m in INPUTS], dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directions:
    """What goes together in a population. `centre`, `spread`: shape (metrics,); `axes`: shape (2, metrics), orthonormal."""

    centre: Floats
    spread: Floats
    axes: Floats


def fit(values: Floats) -> Directions:
    """From rows of values in the order of `INPUTS`, shape (rows, metrics), of training patients only. NaN = missing; only rows
    with every metric teach the directions. Raises `InvalidInput` with fewer than 100 of them."""
    whole = values[np.isfinite(values).all(axis=1)].astype(np.float64)
    if len(whole) < 100:
        raise InvalidInput("values", "needs at least 100 rows in which every metric was measured")
    centre = np.median(whole, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(whole - centre), axis=0), 0.35 * _SPREAD)
    scaled = np.clip((whole - centre) / spread, -_LIMIT, _LIMIT)
    covariance = scaled.T @ scaled / len(scaled)
    _, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, ::-1][:, :2].T
    axes *= np.where(axes.sum(axis=1, keepdims=True) < 0, -1, 1)  # a direction has no sign of its own: fix one
    return Directions(centre=centre.astype(np.float32), spread=spread.astype(np.float32), axes=axes.astype(np.float32))


def residuals(value: Floats, model: Directions) -> Floats:
    """Squared residual of each metric, shape (metrics, rows) as `value`; NaN where missing. Element by element, so that a row
    gives the same bits whatever stands beside it."""
    scaled = np.clip((value - model.centre[:, None]) / model.spread[:, None], -_LIMIT, _LIMIT)
    there = ~np.isnan(scaled)
    x = np.where(there, scaled, np.float32(0))
    rows = value.shape[1]
    aa, bb, ab, ax, bx = (np.zeros(rows, dtype=np.float32) for _ in range(5))
    first, second = model.axes
    for k in range(len(INPUTS)):
        a, b, weight = first[k], second[k], there[k].astype(np.float32)
        aa += a * a * weight
        bb += b * b * weight
        ab += a * b * weight
        ax += a * x[k]
        bx += b * x[k]
    aa += _RIDGE
    bb += _RIDGE
    whole = aa * bb - ab * ab
    along_first, along_second = (bb * ax - ab * bx) / whole, (aa * bx - ab * ax) / whole
    left = scaled - first[:, None] * along_first - second[:, None] * along_second
    return np.asarray(left * left, dtype=np.float32)


class PcaResidual:
    """See the module. `max_age_ms`: a value older than that is missing. `metrics_needed`: with fewer there is no score."""

    name: Final = "pca_residual"
    version: Final = "1"

    def __init__(self, model: Directions, *, max_age_ms: int = 4 * 3_600_000, metrics_needed: int = 4) -> None:
        self._model, self._max_age_ms, self._needed = model, max_age_ms, metrics_needed
        self._state = Newest(INPUTS, {"heart_rate": "pulse_rate"})

    def score(self, windows: Windows) -> Scores:
        """See `Scorer.score`."""
        value, age_ms = self._state.take(windows)
        left = residuals(np.where(age_ms <= self._max_age_ms, value, np.float32(np.nan)), self._model)
        there = ~np.isnan(left)
        known = there.sum(axis=0)
        ok = known >= self._needed
        parts = np.where(ok & there, left / np.maximum(known, 1).astype(np.float32), np.float32(0)).astype(np.float32)
        total = np.zeros(len(windows), dtype=np.float32)
        for part in parts:
            total += part
        return Scores(
            model=self.name,
            version=self.version,
            patient=windows.patient,
            window_end_ms=windows.window_end_ms,
            score=np.where(ok, total, np.float32(np.nan)).astype(np.float32),
            status=np.where(ok, _OK, _INSUFFICIENT).astype(np.uint8),
            contribution={metric: parts[k] for k, metric in enumerate(INPUTS)},
            deviation={},
            completeness=(known / np.float32(len(INPUTS))).astype(np.float32),
        )

    def snapshot(self) -> bytes:
        return encode(STATE_SCHEMA, self._state.columns())

    def restore(self, snapshot: bytes) -> None:
        self._state.restore(decode(snapshot, STATE_SCHEMA))
