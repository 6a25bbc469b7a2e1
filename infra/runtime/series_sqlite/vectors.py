"""Windows and scores in the file: one row of float32 per patient, stream and window end; the names of its places stand once.

A stream is one window length or one model. A layout is what does not change from row to row: names, version, status.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from contracts.frames import Labels
from contracts.scores import STATUSES, Scores, Status
from contracts.windows import Windows
from infra.runtime.series import StoredScore, StoredWindow, known_features
from infra.runtime.series_sqlite.database import Database

_UPSERT: Final = (
    "INSERT INTO vectors (patient, stream, end_ms, revision, layout, body) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET revision = excluded.revision, layout = excluded.layout, body = excluded.body "
    "WHERE excluded.revision >= vectors.revision"
)
_RANGE: Final = (
    "SELECT end_ms, revision, layout, body FROM vectors "
    "WHERE patient = ? AND stream = ? AND end_ms >= ? AND end_ms < ? ORDER BY end_ms"
)
_PATIENTS_AT_ONCE: Final = 200


class VectorTables:
    """Windows and scores."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write_windows(self, windows: Sequence[Windows]) -> None:
        """See `SeriesStore`."""
        with self._database.writing():
            for each in windows:
                self._database.each(_UPSERT, self._window_rows(each))

    def write_scores(self, scores: Sequence[Scores]) -> None:
        """See `SeriesStore`."""
        with self._database.writing():
            for each in scores:
                for status in np.unique(each.status).tolist():
                    self._database.each(_UPSERT, self._score_rows(each, STATUSES[status]))

    def _window_rows(self, windows: Windows) -> Iterator[tuple[Any, ...]]:
        names = sorted(windows.features)
        layout = self._database.layouts.give(json.dumps(names))
        spans = {span: self._database.streams.give(f"window {span}") for span in np.unique(windows.span_ms).tolist()}
        # Late rows are only ever added: the number of them tells an older revision from a newer one.
        revision = windows.late.astype(np.int64) << 1 | (windows.revised != 0)
        return zip(
            self._numbers(windows.patient),
            (spans[span] for span in windows.span_ms.tolist()),
            windows.window_end_ms.tolist(),
            revision.tolist(),
            [layout] * len(windows),
            _bodies([windows.features[name] for name in names], len(windows)),
            strict=True,
        )

    def _score_rows(self, scores: Scores, status: Status) -> Iterator[tuple[Any, ...]]:
        rows = np.flatnonzero(scores.status == STATUSES.index(status))
        # Without a score there is nothing that contributes to it.
        contributing = sorted(scores.contribution) if status is Status.OK else []
        deviating = sorted(scores.deviation)
        layout = self._database.layouts.give(
            json.dumps([scores.version, status.value, contributing, deviating], ensure_ascii=False)
        )
        stream = self._database.streams.give(f"score {scores.model}")
        columns = [
            scores.score,
            *(scores.contribution[name] for name in contributing),
            *(scores.deviation[name] for name in deviating),
        ]
        return zip(
            self._numbers(scores.patient.take(rows)),
            [stream] * len(rows),
            scores.window_end_ms[rows].tolist(),
            [0] * len(rows),
            [layout] * len(rows),
            _bodies([column[rows] for column in columns], len(rows)),
            strict=True,
        )

    def _numbers(self, patients: Labels) -> list[int]:
        numbers = np.array(self._database.patients.give_all(patients.names), dtype=np.int64)
        return numbers[patients.codes].tolist() if len(patients) else []

    def windows(self, patient: str, from_ms: int, to_ms: int, span_ms: int) -> list[StoredWindow]:
        """See `SeriesStore`."""
        found = []
        with self._database.reading():
            for end_ms, revision, layout, body in self._range(patient, f"window {span_ms}", from_ms, to_ms):
                names = json.loads(self._database.layouts.text(layout))
                found.append(
                    StoredWindow(
                        window_end_ms=end_ms,
                        span_ms=span_ms,
                        late=revision >> 1,
                        revised=bool(revision & 1),
                        features=known_features(names, _numbers_of(body)),
                    )
                )
        return found

    def scores(self, patient: str, from_ms: int, to_ms: int, model: str | None) -> list[StoredScore]:
        """See `SeriesStore`."""
        found = []
        with self._database.reading():
            streams = [name for (name,) in self._database.all("SELECT name FROM streams WHERE name LIKE 'score %'")]
            for stream in sorted(streams) if model is None else [f"score {model}"]:
                for end_ms, _, layout, body in self._range(patient, stream, from_ms, to_ms):
                    version, status, contributing, deviating = json.loads(self._database.layouts.text(layout))
                    score, *parts = _numbers_of(body)
                    found.append(
                        StoredScore(
                            window_end_ms=end_ms,
                            model=stream.removeprefix("score "),
                            version=version,
                            score=score if status == Status.OK else None,
                            status=status,
                            contributions=known_features(contributing, parts[: len(contributing)]),
                            deviations=known_features(deviating, parts[len(contributing) :]),
                        )
                    )
        return sorted(found, key=lambda score: score.window_end_ms)

    def _range(self, patient: str, stream: str, from_ms: int, to_ms: int) -> list[tuple[Any, ...]]:
        keys = self._database.patients.number(patient), self._database.streams.number(stream)
        return [] if None in keys else self._database.all(_RANGE, (*keys, from_ms, to_ms))

    def retain(self, before_ms: int) -> None:
        """Forget windows and scores that ended before `before_ms`, some patients at a time."""
        database = self._database
        with database.reading():
            patients = [number for (number,) in database.all("SELECT id FROM patients ORDER BY id")]
            streams = [number for (number,) in database.all("SELECT id FROM streams")]
        for start in range(0, len(patients), _PATIENTS_AT_ONCE):
            with database.writing():
                database.each(
                    "DELETE FROM vectors WHERE patient = ? AND stream = ? AND end_ms < ?",
                    [
                        (patient, stream, before_ms)
                        for patient in patients[start : start + _PATIENTS_AT_ONCE]
                        for stream in streams
                    ],
                )


def _bodies(columns: Sequence[np.ndarray[Any, np.dtype[np.float32]]], rows: int) -> list[bytes]:
    if not columns:
        return [b""] * rows
    table = np.stack(columns, axis=1).astype("<f4", copy=False)
    return [row.tobytes() for row in table]


def _numbers_of(body: bytes) -> list[float]:
    return [float(number) for number in np.frombuffer(body, dtype="<f4")]
