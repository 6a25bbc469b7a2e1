"""Windows and scores in the file: segments first, then chunks, as readings are; what is asked for is looked up in both.

A stream is one window length or one model. A layout is what does not change from row to row: names, version, status.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from contracts.errors import InvalidInput
from contracts.frames import Labels
from contracts.scores import STATUSES, Scores, Status
from contracts.windows import Windows
from infra.runtime.logs import get_logger
from infra.runtime.series import StoredScore, StoredWindow, known_features
from infra.runtime.series_sqlite.database import Database
from infra.runtime.series_sqlite.rows import GROUP_BITS, SPAN_MS, group_of
from infra.runtime.series_sqlite.vector_rows import (
    Longs,
    Piece,
    VectorChunk,
    Words,
    ends,
    newest,
    numbers,
    of_patient,
    pack,
    revisions,
    rows_of,
    segments,
    table_of,
    unpack,
)

log = get_logger(__name__)

# Ten minutes of a group are sorted into chunks when they have been over for so long: late data may revise a window until then
# without a chunk being written twice.
LATE_MS: Final = 180_000
_RECOUNT_EVERY: Final = 100


class VectorTables:
    """Windows and scores."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._oldest: dict[int, int] = {}  # group: the oldest end among its segments
        self._newest_ms = 0
        self._writes = 0
        self._damaged: set[tuple[int, ...]] = set()

    def write_windows(self, windows: Sequence[Windows]) -> None:
        """See `SeriesStore`."""
        with self._database.writing():
            self._write(piece for each in windows for piece in self._of_windows(each))
        self._compact_some()

    def write_scores(self, scores: Sequence[Scores]) -> None:
        """See `SeriesStore`."""
        with self._database.writing():
            self._write(piece for each in scores for piece in self._of_scores(each))
        self._compact_some()

    def _of_windows(self, windows: Windows) -> Iterable[tuple[int, Piece]]:
        names = sorted(windows.features)
        layout = self._database.layouts.give(json.dumps(names))
        # Late rows are only ever added: the number of them tells an older revision from a newer one.
        revision = windows.late.astype(np.int64) << 1 | (windows.revised != 0)
        words = table_of(
            self._numbers(windows.patient), windows.window_end_ms, revision, [windows.features[name] for name in names]
        )
        for span in np.unique(windows.span_ms).tolist():
            rows = words if (windows.span_ms == span).all() else words[windows.span_ms == span]
            yield self._database.streams.give(f"window {span}"), (layout, rows)

    def _of_scores(self, scores: Scores) -> Iterable[tuple[int, Piece]]:
        patients = self._numbers(scores.patient)
        stream = self._database.streams.give(f"score {scores.model}")
        for number in np.unique(scores.status).tolist():
            rows, status = np.flatnonzero(scores.status == number), STATUSES[number]
            # Without a score there is nothing that contributes to it.
            contributing = sorted(scores.contribution) if status is Status.OK else []
            deviating = sorted(scores.deviation)
            layout = self._database.layouts.give(
                json.dumps([scores.version, status.value, contributing, deviating], ensure_ascii=False)
            )
            columns = [
                scores.score,
                *(scores.contribution[name] for name in contributing),
                *(scores.deviation[name] for name in deviating),
            ]
            once = np.zeros(len(rows), dtype=np.int64)
            yield stream, (
                layout,
                table_of(patients[rows], scores.window_end_ms[rows], once, [column[rows] for column in columns]),
            )

    def _numbers(self, patients: Labels) -> Longs:
        if not len(patients):
            return np.zeros(0, dtype=np.int64)
        given = np.array(self._database.patients.give_all(patients.names), dtype=np.int64)
        return np.asarray(given[patients.codes])

    def _write(self, written: Iterable[tuple[int, Piece]]) -> None:
        """One segment a group, stream and layout; inside a write transaction."""
        of_stream: dict[int, list[Piece]] = {}
        for stream, piece in written:
            of_stream.setdefault(stream, []).append(piece)
        added = [
            (group, stream, layout, words.shape[1], first_ms, body)
            for stream, pieces in of_stream.items()
            for layout, words in newest(pieces).items()
            for group, first_ms, body in segments(words)
        ]
        self._database.each(
            "INSERT INTO vector_segments (patient_group, stream, layout, words, first_ms, body) VALUES (?, ?, ?, ?, ?, ?)",
            added,
        )
        for group, _, _, _, first_ms, _ in added:
            self._oldest[group] = min(self._oldest.get(group, first_ms), first_ms)
            self._newest_ms = max(self._newest_ms, first_ms)

    def _compact_some(self) -> None:
        """A few of the groups that are due: no write is slow."""
        if self._writes % _RECOUNT_EVERY == 0:  # another sink may write to the same file
            with self._database.reading():
                self._oldest = dict(
                    self._database.all("SELECT patient_group, MIN(first_ms) FROM vector_segments GROUP BY patient_group")
                )
        self._writes += 1
        over = (self._newest_ms - LATE_MS) // SPAN_MS * SPAN_MS
        due = sorted(group for group, first_ms in self._oldest.items() if first_ms < over)
        for group in due[: 1 + len(due) // 100]:
            self.compact(group)

    def compact_all(self) -> None:
        """Sort every group into chunks."""
        with self._database.reading():
            groups = self._database.all("SELECT DISTINCT patient_group FROM vector_segments")
        for (group,) in groups:
            self.compact(group)

    def compact(self, group: int) -> None:
        """Sort the segments of a group into chunks. A damaged chunk that is written again is lost: windows and scores can be made
        again from readings."""
        database = self._database
        with database.writing():
            self._oldest.pop(group, None)
            fresh: dict[int, list[Piece]] = {}
            for stream, layout, words, body in database.all(
                "SELECT stream, layout, words, body FROM vector_segments WHERE patient_group = ? ORDER BY id", (group,)
            ):
                fresh.setdefault(stream, []).append((layout, rows_of(body, words)))
            first = group << GROUP_BITS
            spans = {int(s) for parts in fresh.values() for _, rows in parts for s in np.unique(ends(rows) // SPAN_MS)}
            stored: dict[int, list[Piece]] = {}
            for span in spans:
                where = "WHERE span = ? AND patient >= ? AND patient < ?"
                keys = (span, first, first + (1 << GROUP_BITS))
                for stream, piece in self._chunks(where, keys):
                    stored.setdefault(stream, []).append(piece)
                database.run(f"DELETE FROM vector_chunks {where}", keys)  # noqa: S608  no name in it is a stranger's
            for stream in fresh.keys() | stored.keys():
                # What is stored was written earlier.
                rows = newest([*stored.get(stream, ()), *fresh.get(stream, ())])
                database.each(
                    "INSERT INTO vector_chunks (span, patient, stream, layout, rows, words, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (chunk.span, chunk.patient, stream, chunk.layout, chunk.rows, chunk.words, chunk.body)
                        for layout, words in rows.items()
                        for chunk in pack(layout, words)
                    ],
                )
            database.run("DELETE FROM vector_segments WHERE patient_group = ?", (group,))

    def _chunks(self, where: str, keys: Sequence[object]) -> list[tuple[int, Piece]]:
        """Stream and rows of each chunk; none of a damaged one: a gap of ten minutes, not an end of everything."""
        found = []
        for span, patient, stream, layout, rows, words, body in self._database.all(
            f"SELECT span, patient, stream, layout, rows, words, body FROM vector_chunks {where}",  # noqa: S608
            keys,
        ):
            try:
                piece = unpack(VectorChunk(span=span, patient=patient, layout=layout, rows=rows, words=words, body=body))
            except InvalidInput:
                if (key := (span, patient, stream, layout)) not in self._damaged:
                    self._damaged.add(key)
                    log.error("chunk of windows or scores in the series store is damaged", span=span, stream=stream)
            else:
                found.append((stream, (layout, piece)))
        return found

    def windows(self, patient: str, from_ms: int, to_ms: int, span_ms: int) -> list[StoredWindow]:
        """See `SeriesStore`."""
        found = []
        with self._database.reading():
            for layout, words in self._rows(patient, f"window {span_ms}", from_ms, to_ms).items():
                names = json.loads(self._database.layouts.text(layout))
                for end_ms, revision, values in _each(words):
                    found.append(
                        StoredWindow(
                            window_end_ms=end_ms,
                            span_ms=span_ms,
                            late=revision >> 1,
                            revised=bool(revision & 1),
                            features=known_features(names, values),
                        )
                    )
        return sorted(found, key=lambda window: window.window_end_ms)

    def scores(self, patient: str, from_ms: int, to_ms: int, model: str | None) -> list[StoredScore]:
        """See `SeriesStore`."""
        found = []
        with self._database.reading():
            streams = [name for (name,) in self._database.all("SELECT name FROM streams WHERE name LIKE 'score %'")]
            for stream in sorted(streams) if model is None else [f"score {model}"]:
                for layout, words in self._rows(patient, stream, from_ms, to_ms).items():
                    version, status, contributing, deviating = json.loads(self._database.layouts.text(layout))
                    for end_ms, _, (score, *parts) in _each(words):
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

    def _rows(self, patient: str, stream: str, from_ms: int, to_ms: int) -> Mapping[int, Words]:
        """The rows of [from, to) by layout, each in order of their ends."""
        database = self._database
        number, at = database.patients.number(patient), database.streams.number(stream)
        if number is None or at is None or from_ms >= to_ms:
            return {}
        lowest, highest = database.all("SELECT (SELECT MIN(span) FROM vector_chunks), (SELECT MAX(span) FROM vector_chunks)")[0]
        pieces: list[Piece] = []
        if lowest is not None:
            spans = range(max(from_ms // SPAN_MS, lowest), min((to_ms - 1) // SPAN_MS, highest) + 1)
            where = "WHERE span IN (SELECT value FROM json_each(?)) AND patient = ? AND stream = ?"
            pieces += (piece for _, piece in self._chunks(where, (json.dumps(list(spans)), number, at)))
        for layout, words, body in database.all(
            "SELECT layout, words, body FROM vector_segments WHERE patient_group = ? AND stream = ? ORDER BY id",
            (group_of(number), at),
        ):
            pieces.append((layout, of_patient(rows_of(body, words), number)))
        return {layout: _within(words, from_ms, to_ms) for layout, words in newest(pieces).items()}

    def retain(self, before_ms: int) -> None:
        """Forget the chunks that ended by `before_ms`, hour by hour: nobody waits long for the file."""
        database = self._database
        with database.reading():
            old = database.all("SELECT DISTINCT patient_group FROM vector_segments WHERE first_ms < ?", (before_ms,))
        for (group,) in old:  # a patient who left has segments that would otherwise never be due
            self.compact(group)
        end = before_ms // SPAN_MS
        while True:
            with database.writing():
                lowest = database.one("SELECT MIN(span) FROM vector_chunks")
                if lowest is None or lowest[0] is None or lowest[0] >= end:
                    return
                database.run("DELETE FROM vector_chunks WHERE span < ?", (min(end, lowest[0] + 6),))

    def adopt(self) -> None:
        """Take over the rows of a file of format 1, which had each window and score by itself, a group of patients at a time."""
        database = self._database
        with database.reading():
            if not database.all("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'vectors'"):
                return
        log.info("the series store is of an older form, its windows and scores are moved")
        while True:
            with database.writing():
                lowest = database.one("SELECT MIN(patient) FROM vectors")
                if lowest is None or lowest[0] is None:
                    database.run("DROP TABLE vectors")
                    return
                beyond = (group_of(int(lowest[0])) + 1) << GROUP_BITS
                rows = database.all(
                    "SELECT stream, layout, patient, end_ms, revision, body FROM vectors WHERE patient < ? "
                    "ORDER BY stream, layout",
                    (beyond,),
                )
                self._write(
                    (stream, (layout, _adopted(list(mine))))
                    for (stream, layout), mine in itertools.groupby(rows, key=lambda row: row[:2])
                )
                database.run("DELETE FROM vectors WHERE patient < ?", (beyond,))


def _adopted(rows: Sequence[tuple[Any, ...]]) -> Words:
    """Rows of one layout in the older form."""
    patient, end_ms, revision = (np.array([row[place] for row in rows], dtype=np.int64) for place in (2, 3, 4))
    values = np.frombuffer(b"".join(row[5] for row in rows), dtype="<f4").reshape(len(rows), -1)
    return table_of(patient, end_ms, revision, list(values.T))


def _within(words: Words, from_ms: int, to_ms: int) -> Words:
    begin, end = np.searchsorted(ends(words), (from_ms, to_ms))
    return words[begin:end]


def _each(words: Words) -> Iterable[tuple[int, int, list[float]]]:
    """End, revision and numbers of each row."""
    return zip(ends(words).tolist(), revisions(words), numbers(words).tolist(), strict=True)
