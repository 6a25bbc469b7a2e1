"""Builders of readings, windows and scores: a test names what matters to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from contracts.frames import constant, labels
from contracts.readings import Quality, Readings
from contracts.scores import STATUSES, Scores, Status
from contracts.vitals import INDEX
from contracts.windows import SHORT_MS, Windows

# A whole ten minutes, so that a test can place rows around the edge of a chunk.
T0 = 1_770_000_000_000
assert T0 % 600_000 == 0

Row = tuple[str, str, int, float, int, int, int]  # patient, metric, time after T0 in ms, value, quality, boot, seq


def row(
    value: float,
    time_ms: int = 0,
    *,
    patient: str = "p-1",
    metric: str = "heart_rate",
    quality: Quality = Quality.GOOD,
    boot: int = 1,
    seq: int | None = None,
) -> Row:
    """One reading; `seq` follows the time where it is not given."""
    return (patient, metric, time_ms, value, int(quality), boot, 1_000_000 + time_ms if seq is None else seq)


def readings(rows: Sequence[Row]) -> Readings:
    """The rows as columns, in this order."""
    patient, metric, time_ms, value, quality, boot, seq = zip(*rows, strict=True) if rows else ((),) * 7
    time = T0 + np.array(time_ms, dtype=np.int64)
    return Readings(
        patient=labels(patient),
        device=constant("d-1", len(rows)),
        metric=np.array([INDEX[name] for name in metric], dtype=np.int16),
        value=np.array(value, dtype=np.float32),
        time_ms=time,
        received_ms=time,
        boot=np.array(boot, dtype=np.int32),
        seq=np.array(seq, dtype=np.int64),
        quality=np.array(quality, dtype=np.uint8),
    )


def windows(
    end_ms: int = 0,
    *,
    patients: Sequence[str] = ("p-1",),
    span_ms: int = SHORT_MS,
    late: int = 0,
    features: Mapping[str, float] | None = None,
) -> Windows:
    """The same window of each patient."""
    n = len(patients)
    return Windows(
        patient=labels(patients),
        window_end_ms=np.full(n, T0 + end_ms, dtype=np.int64),
        span_ms=np.full(n, span_ms, dtype=np.int32),
        late=np.full(n, late, dtype=np.int32),
        revised=np.full(n, late > 0, dtype=np.uint8),
        features={
            name: np.full(n, value, dtype=np.float32) for name, value in (features or {"heart_rate.mean": 72.5}).items()
        },
    )


def scores(
    score: float = 1.5,
    end_ms: int = 0,
    *,
    patient: str = "p-1",
    model: str = "personal_baseline",
    version: str = "1",
    status: Status = Status.OK,
    contribution: Mapping[str, float] | None = None,
    deviation: Mapping[str, float] | None = None,
) -> Scores:
    """One score."""

    def columns(values: Mapping[str, float]) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]]:
        return {name: np.array([value], dtype=np.float32) for name, value in values.items()}

    return Scores(
        model=model,
        version=version,
        patient=labels([patient]),
        window_end_ms=np.array([T0 + end_ms], dtype=np.int64),
        score=np.array([score], dtype=np.float32),
        status=np.array([STATUSES.index(status)], dtype=np.uint8),
        contribution=columns({"heart_rate": 1.5} if contribution is None else contribution),
        deviation=columns({"heart_rate": 9.0} if deviation is None else deviation),
    )
