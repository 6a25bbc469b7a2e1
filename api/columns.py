"""Frames of the stream as columns that `ward.py` folds. Pure, and safe to run in the thread that reads Kafka.

Whatever a frame says, what comes out of here can be written as JSON: no time outside the years 2000 to 2100, no number that is
none, no value whose quality forbids showing it (NaN stands for all of these).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.frames import Labels
from contracts.latest import Latest, LatestValues
from contracts.readings import EARLIEST_MS, LATEST_MS, Quality, all_good, good_name
from contracts.scores import STATUSES, Scores, Status
from contracts.vitals import INDEX

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Parts = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]

OK: Final = STATUSES.index(Status.OK)
INSUFFICIENT: Final = STATUSES.index(Status.INSUFFICIENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestColumn:
    """One metric (its place in the catalogue). `value` is NaN where nothing may be shown; `known` is false where there is no
    reading at all."""

    metric: int
    value: Floats
    time_ms: Ints
    quality: Bytes
    known: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestRows:
    """The rows of one `vitals.latest` frame, in its order."""

    patient: list[str]
    tick_ms: Ints
    columns: list[LatestColumn]

    def __len__(self) -> int:
        return len(self.patient)

    def part(self, start: int, stop: int) -> LatestRows:
        """The rows `[start, stop)`."""
        some = slice(start, stop)
        return LatestRows(
            patient=self.patient[some],
            tick_ms=self.tick_ms[some],
            columns=[
                LatestColumn(
                    metric=c.metric, value=c.value[some], time_ms=c.time_ms[some], quality=c.quality[some], known=c.known[some]
                )
                for c in self.columns
            ],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRows:
    """What one model said about windows, in the order of the frame. `score` is NaN unless `status` is OK. `contribution` and
    `deviation`: by the metric's place in the catalogue, NaN where there is none."""

    model: str
    version: str
    patient: list[str]
    window_end_ms: Ints
    score: Floats
    status: Bytes
    contribution: Mapping[int, Parts]
    deviation: Mapping[int, Parts]

    def __len__(self) -> int:
        return len(self.patient)

    def part(self, start: int, stop: int) -> ScoreRows:
        """The rows `[start, stop)`."""
        some = slice(start, stop)
        return ScoreRows(
            model=self.model,
            version=self.version,
            patient=self.patient[some],
            window_end_ms=self.window_end_ms[some],
            score=self.score[some],
            status=self.status[some],
            contribution={m: part[some] for m, part in self.contribution.items()},
            deviation={m: part[some] for m, part in self.deviation.items()},
        )


def latest_rows(latest: Latest) -> LatestRows:
    """The rows of a frame whose patient key and tick are sound."""
    rows = _sound(latest.patient, latest.tick_ms)
    columns = (_column(INDEX[metric], values, rows) for metric, values in latest.metrics.items())
    return LatestRows(
        patient=latest.patient.take(rows).tolist(),
        tick_ms=latest.tick_ms[rows],
        columns=[column for column in columns if column.known.any()],
    )


def score_rows(scores: Scores) -> ScoreRows:
    """The rows of a frame whose patient key and time are sound. A score that is not a number is never OK."""
    rows = _sound(scores.patient, scores.window_end_ms)
    score = np.round(scores.score[rows].astype(np.float64), 4)
    status = scores.status[rows]
    status = np.where((status == OK) & ~np.isfinite(score), np.uint8(INSUFFICIENT), status)
    return ScoreRows(
        model=scores.model,
        version=scores.version,
        patient=scores.patient.take(rows).tolist(),
        window_end_ms=scores.window_end_ms[rows],
        score=np.where(status == OK, score, np.nan),
        status=status,
        contribution={INDEX[m]: _part(part[rows]) for m, part in scores.contribution.items()},
        deviation={INDEX[m]: _part(part[rows]) for m, part in scores.deviation.items()},
    )


def _sound(patient: Labels, moment_ms: Ints) -> Rows:
    sound = (moment_ms >= EARLIEST_MS) & (moment_ms < LATEST_MS)
    if not all_good(patient.names):
        sound &= np.array([good_name(n) for n in patient.names], dtype=np.bool_)[patient.codes]
    return np.flatnonzero(sound)


def _column(metric: int, values: LatestValues, rows: Rows) -> LatestColumn:
    time_ms, quality = values.time_ms[rows], values.quality[rows]
    known = (time_ms >= EARLIEST_MS) & (time_ms < LATEST_MS) & (quality <= Quality.NOT_WORN)
    value = np.round(values.value[rows].astype(np.float64), 3)
    shown = known & np.isfinite(value) & (quality <= Quality.QUESTIONABLE)
    return LatestColumn(
        metric=metric, value=np.where(shown, value, np.nan), time_ms=time_ms, quality=quality, known=known
    )


def _part(column: Parts) -> Parts:
    return np.where(np.isfinite(column), column, np.float32(np.nan))
