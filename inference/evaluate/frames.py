"""A recording as the frames of windows that the stream would send: any scorer of the stream can be evaluated unchanged.

A value measured at t lies in the minute that begins at t, as the window `[t, t + 60 s)`; a charted value fills its minute.
A moment at t is scored at the end of that minute, with what was received by t.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from contracts.frames import Labels
from contracts.vitals import INDEX
from contracts.windows import SHORT_MS, Windows
from inference.datasets.recording import Recording
from inference.datasets.replay import Step, steps
from inference.scorer import Scorer

Doubles = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]


def stream_scores(recording: Recording, scorer: Scorer) -> Doubles:
    """The score at each moment, NaN where the scorer gave none; in the order of `recording.moments`."""
    found = np.full(len(recording.moments), np.nan)
    for step in steps(recording):
        for windows in frames_of(recording, step):
            scores = scorer.score(windows)
            now = windows.window_end_ms == step.t_ms + SHORT_MS
            by_slot = np.full(len(recording.patients), np.nan)
            by_slot[windows.patient.codes[now]] = scores.score[now]
        found[step.rows] = by_slot[recording.moments.patient[step.rows]]
    return found


def frames_of(recording: Recording, step: Step) -> Iterator[Windows]:
    """The windows of what was received in `step`, oldest first, the last frame with a row for every patient to be scored."""
    received = step.received
    ends = (received.time_ms // SHORT_MS + 1) * SHORT_MS
    now = step.t_ms + SHORT_MS
    for end in np.unique(np.append(ends, now)).tolist():
        at = np.flatnonzero(ends == end)
        slots = np.unique(np.concatenate([received.patient[at], _scored(recording, step) if end == now else []]))
        row = np.searchsorted(slots, received.patient[at])
        features: dict[str, npt.NDArray[np.float32]] = {}
        for metric in np.unique(received.metric[at]).tolist():
            name = recording.metrics[metric]
            if name in INDEX:
                some = received.metric[at] == metric
                features.update(_columns(name, len(slots), row[some], received.value[at[some]]))
        yield Windows(
            patient=Labels(codes=slots.astype(np.int32), names=recording.patients),
            window_end_ms=np.full(len(slots), end, dtype=np.int64),
            span_ms=np.full(len(slots), SHORT_MS, dtype=np.int32),
            late=np.zeros(len(slots), dtype=np.int32),
            revised=np.zeros(len(slots), dtype=np.uint8),
            features=features,
        )


def _scored(recording: Recording, step: Step) -> npt.NDArray[np.int32]:
    return recording.moments.patient[step.rows]


def _columns(
    name: str, rows: int, row: npt.NDArray[np.intp], value: npt.NDArray[np.float32]
) -> dict[str, npt.NDArray[np.float32]]:
    """A charted value as if it had been measured all minute; of several in a minute the last one holds."""
    column = np.full(rows, np.nan, dtype=np.float32)
    column[row] = value
    there = np.where(np.isnan(column), np.float32(np.nan), np.float32(1)).astype(np.float32)
    return {
        f"{name}.mean": column,
        f"{name}.median": column,
        f"{name}.min": column,
        f"{name}.max": column,
        f"{name}.last": column,
        f"{name}.coverage": there,
        f"{name}.good": there,
    }
