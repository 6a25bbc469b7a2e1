"""Frames of the stream as rows that `ward.py` folds. Pure, and safe to run in the thread that reads Kafka.

Whatever a frame says, a row that comes out of here can be written as JSON: no NaN, no time outside the years 2000 to
2100, no value whose quality forbids showing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from api.moments import rfc3339_column
from contracts.latest import Latest
from contracts.readings import EARLIEST_MS, LATEST_MS, Quality, good_name
from contracts.scores import STATUSES, Scores, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestColumn:
    """One metric. `value` is None where nothing may be shown; `time` is None where there is no reading at all."""

    metric: str
    value: list[float | None]
    time_ms: list[int]
    time: list[str | None]
    quality: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestRows:
    """The rows of one `vitals.latest` frame, in its order."""

    patient: list[str]
    tick_ms: list[int]
    tick: list[str]
    columns: list[LatestColumn]

    def __len__(self) -> int:
        return len(self.patient)

    def part(self, start: int, stop: int) -> LatestRows:
        """The rows `[start, stop)`."""
        return LatestRows(
            patient=self.patient[start:stop],
            tick_ms=self.tick_ms[start:stop],
            tick=self.tick[start:stop],
            columns=[
                LatestColumn(
                    metric=c.metric, value=c.value[start:stop], time_ms=c.time_ms[start:stop], time=c.time[start:stop],
                    quality=c.quality[start:stop],
                )
                for c in self.columns
            ],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """What one model said about one patient's newest window. `score` is None unless `status` is OK."""

    patient: str
    window_end_ms: int
    time: str
    model: str
    version: str
    score: float | None
    status: Status
    contributions: dict[str, float]
    deviations: dict[str, float]


def latest_rows(latest: Latest) -> LatestRows:
    """The rows of a frame whose patient key and tick are sound."""
    good_names = np.array([good_name(n) for n in latest.patient.names] or [False], dtype=np.bool_)
    good = good_names[latest.patient.codes] & (latest.tick_ms >= EARLIEST_MS) & (latest.tick_ms < LATEST_MS)
    rows = np.flatnonzero(good)
    columns = []
    for metric, values in latest.metrics.items():
        time_ms = values.time_ms[rows]
        quality = values.quality[rows]
        known = (time_ms >= EARLIEST_MS) & (time_ms < LATEST_MS) & (quality <= Quality.NOT_WORN)
        if not known.any():
            continue
        value = np.round(values.value[rows].astype(np.float64), 3)
        shown = known & np.isfinite(value) & (quality <= Quality.QUESTIONABLE)
        times = rfc3339_column(np.where(known, time_ms, EARLIEST_MS))
        columns.append(
            LatestColumn(
                metric=metric,
                value=[v if s else None for v, s in zip(value.tolist(), shown.tolist(), strict=True)],
                time_ms=time_ms.tolist(),
                time=[t if k else None for t, k in zip(times, known.tolist(), strict=True)],
                quality=quality.tolist(),
            )
        )
    return LatestRows(
        patient=latest.patient.take(rows).tolist(),
        tick_ms=latest.tick_ms[rows].tolist(),
        tick=rfc3339_column(latest.tick_ms[rows]),
        columns=columns,
    )


def score_rows(scores: Scores) -> list[ScoreRow]:
    """The rows of a frame whose patient key and time are sound. A score that is not a number is never OK."""
    sound = np.array([good_name(name) for name in scores.patient.names] or [False], dtype=np.bool_)
    good = sound[scores.patient.codes] & (scores.window_end_ms >= EARLIEST_MS) & (scores.window_end_ms < LATEST_MS)
    rows = np.flatnonzero(good)
    end_ms, score = scores.window_end_ms[rows], scores.score[rows].astype(np.float64)
    finite = np.isfinite(score).tolist()
    contributions, deviations = _parts(scores.contribution, rows, zero=False), _parts(scores.deviation, rows, zero=True)
    columns = zip(
        scores.patient.take(rows).tolist(), end_ms.tolist(), rfc3339_column(end_ms), scores.status[rows].tolist(),
        np.round(score, 4).tolist(), finite, contributions, deviations, strict=True,
    )  # fmt: skip
    found = []
    for patient, at_ms, time, code, number, known, contributed, deviated in columns:
        status = STATUSES[code]
        if status is Status.OK and not known:
            status = Status.INSUFFICIENT
        found.append(
            ScoreRow(
                patient=patient,
                window_end_ms=at_ms,
                time=time,
                model=scores.model,
                version=scores.version,
                score=number if status is Status.OK else None,
                status=status,
                contributions=contributed,
                deviations=deviated,
            )
        )
    return found


def _parts(columns: Mapping[str, npt.NDArray[np.float32]], rows: npt.NDArray[np.intp], *, zero: bool) -> list[dict[str, float]]:
    """The metrics that have a number in each row; with `zero` False, those that had any part in it."""
    found: list[dict[str, float]] = [{} for _ in range(len(rows))]
    for metric, column in columns.items():
        part = np.round(column[rows].astype(np.float64), 4)
        there = np.isfinite(part) if zero else np.isfinite(part) & (part != 0)
        for row, number in zip(np.flatnonzero(there).tolist(), part[there].tolist(), strict=True):
            found[row][metric] = number
    return found
