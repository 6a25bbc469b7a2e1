"""What was measured of a ward on the stage, as frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from contracts.frames import Labels, constant, labels
from contracts.readings import Readings
from contracts.scores import BASELINE, STATUSES, Scores, Status
from contracts.vitals import INDEX
from producers.sources.roster import Person

Numbers = npt.NDArray[Any]


def readings_of(person: Person, time_ms: Numbers, metrics: dict[str, Numbers]) -> Readings:
    """What one monitor measured: a value of each metric at each time."""
    count = len(time_ms) * len(metrics)
    times = np.tile(time_ms, len(metrics))
    return Readings(
        patient=constant(person.patient, count),
        device=constant(person.device, count),
        metric=np.repeat(np.array([INDEX[m] for m in metrics], dtype=np.int16), len(time_ms)),
        value=np.concatenate(list(metrics.values())).astype(np.float32),
        time_ms=times,
        received_ms=times,
        boot=np.zeros(count, dtype=np.int32),
        seq=np.arange(count, dtype=np.int64),
        quality=np.zeros(count, dtype=np.uint8),
    )


def scores_of(
    patient: str,
    ends: Numbers,
    score: Numbers,
    parts: dict[str, float],
    off: dict[str, float],
) -> Scores:
    """Scores of one patient; each is made of the same shares."""
    rows = len(ends)
    who: Labels = labels([patient] * rows)
    return Scores(
        model=BASELINE,
        version="1",
        patient=who,
        window_end_ms=ends.astype(np.int64),
        score=score.astype(np.float32),
        status=np.full(rows, STATUSES.index(Status.OK), dtype=np.uint8),
        contribution={m: (share * score).astype(np.float32) for m, share in parts.items()},
        deviation={m: np.full(rows, v, dtype=np.float32) for m, v in off.items()},
    )
