"""Scores: one row per patient, window end and model, the content of `vitals.scores`.

"Not ready", "insufficient data" and "failed" are values of `status`, never a score of 0: unknown is not normal. The score of
such a row is NaN. Contributions say how much each metric added; together with the model's base (what it scores when nothing
is unusual) they sum to the score. Trained classifiers explain only scores that could alarm: the parts of all others are 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import Array, Frame, Labels, constant, decode, encode
from contracts.vitals import CATALOGUE, INDEX

SCHEMA: Final = "scores/1"
_CONTRIBUTION: Final = "contribution."
_DEVIATION: Final = "deviation."
_VALUE: Final = "value."
BASELINE: Final = "personal_baseline"
"""The model that every patient has: deviation from the own usual."""
MAX_TROUBLE: Final = 200  # characters
SHADOW: Final = ".shadow"
"""Behind the name of a model that scores for comparison only. No alarm rule can name such a model."""


class Status(StrEnum):
    """What a score is worth. Only OK has a number."""

    OK = "ok"
    NOT_READY = "not_ready"  # the model has not yet seen enough of this patient
    INSUFFICIENT = "insufficient"  # this window has too little usable data
    FAILED = "failed"  # the model gave no valid answer: it raised, hung, or answered what is no number


STATUSES: Final = tuple(Status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Columns of equal length, all of one model and version. `status` indexes `STATUSES`. `contribution`: metric name to its
    part of the score (0 where it had no part). `deviation`: metric name to value minus the patient's own baseline in the
    metric's unit (NaN where unknown): what a nurse reads as "+9 over own baseline". `completeness`: the share of its inputs
    the model had, for models that score with parts missing; None for models that do not say. `value`: the metric's newest
    value where a score was explained.

    `trouble`: what is wrong with the model itself, "" when it works: a bundle that was refused, an older version that stands
    in. A frame whose only row is the canary of its partition, `failed`, says nothing but that."""

    model: str
    version: str
    patient: Labels
    window_end_ms: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    status: npt.NDArray[np.uint8]
    contribution: Mapping[str, npt.NDArray[np.float32]]
    deviation: Mapping[str, npt.NDArray[np.float32]]
    completeness: npt.NDArray[np.float32] | None = None
    trouble: str = ""
    value: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=lambda: MappingProxyType({}))

    def __len__(self) -> int:
        return len(self.score)


def encode_scores(scores: Scores) -> bytes:
    """Encode as a `scores/1` frame."""
    rows = len(scores)
    columns: dict[str, Array | Labels] = {
        "patient": scores.patient,
        "window_end_ms": scores.window_end_ms,
        "model": constant(scores.model, rows),
        "version": constant(scores.version, rows),
        "score": scores.score,
        "status": Labels(codes=scores.status.astype(np.int32), names=tuple(s.value for s in STATUSES)),
    }
    if scores.completeness is not None:
        columns["completeness"] = scores.completeness
    if scores.trouble:
        columns["trouble"] = constant(scores.trouble[:MAX_TROUBLE], rows)
    for prefix, part in (
        (_CONTRIBUTION, scores.contribution), (_DEVIATION, scores.deviation), (_VALUE, scores.value)
    ):
        for vital in CATALOGUE:
            if (column := part.get(vital.name)) is not None:
                columns[prefix + vital.name] = column
    return encode(SCHEMA, columns)


def decode_scores(payload: bytes) -> Scores:
    """Decode a `scores/1` frame. Raises `InvalidInput` for an empty frame, several models in one, or an unknown status."""
    frame = decode(payload, SCHEMA)
    model, version, status = frame.text("model"), frame.text("version"), frame.text("status")
    pairs = np.unique(np.stack([model.codes, version.codes]), axis=1)
    if pairs.shape[1] != 1:
        raise InvalidInput("model", "a frame holds the scores of exactly one model and version")
    by_name = {s.value: i for i, s in enumerate(STATUSES)}
    unknown = [name for name in status.names if name not in by_name]
    if unknown:
        raise InvalidInput("status", f"must be one of {', '.join(by_name)}")
    codes = np.array([by_name[name] for name in status.names], dtype=np.uint8)
    return Scores(
        model=model.names[pairs[0, 0]],
        version=version.names[pairs[1, 0]],
        patient=frame.text("patient"),
        window_end_ms=frame.numbers("window_end_ms", np.int64),  # type: ignore[arg-type]
        score=frame.numbers("score", np.float32),  # type: ignore[arg-type]
        status=codes[status.codes],
        contribution=_part(frame.names, _CONTRIBUTION, frame.numbers),
        deviation=_part(frame.names, _DEVIATION, frame.numbers),
        completeness=frame.numbers("completeness", np.float32) if "completeness" in frame.names else None,  # type: ignore[arg-type]
        trouble=_trouble(frame),
        value=_part(frame.names, _VALUE, frame.numbers),
    )


def _trouble(frame: Frame) -> str:
    """Of several texts the first row's holds; there is one in every frame that we write."""
    if "trouble" not in frame.names or not frame.rows:
        return ""
    column = frame.text("trouble")
    return str(column.names[column.codes[0]])[:MAX_TROUBLE]


def _part(names: list[str], prefix: str, numbers: object) -> dict[str, npt.NDArray[np.float32]]:
    return {
        name.removeprefix(prefix): numbers(name, np.float32)  # type: ignore[operator]
        for name in names
        if name.startswith(prefix) and name.removeprefix(prefix) in INDEX
    }
