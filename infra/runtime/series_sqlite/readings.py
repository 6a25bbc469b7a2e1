"""Readings in the file: segments first, then chunks; what is asked for is looked up in both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import numpy as np

from contracts.errors import InvalidInput
from contracts.readings import Readings
from contracts.vitals import CATALOGUE, INDEX
from infra.runtime.logs import get_logger
from infra.runtime.series import LatestPoint, SeriesPoints, downsample, no_points
from infra.runtime.series_sqlite.database import Database
from infra.runtime.series_sqlite.rows import (
    METRIC_BITS,
    SPAN_MS,
    SPAN_SHIFT,
    Chunk,
    Rows,
    chunk_key,
    concat,
    group_of,
    join,
    keys_of,
    last_of_each,
    merged,
    newest,
    of_patient,
    of_series,
    pack,
    plain,
    segments,
    series_of,
    times,
    unpack,
    within,
)

log = get_logger(__name__)

# A group is sorted into chunks when it has gathered this much: five minutes at one batch a second, or 12 MB. Every chart
# looks through what has gathered; half as much costs writers nothing, a quarter a third of their speed.
MAX_SEGMENTS: Final = 300
MAX_ROWS: Final = 500_000
_RECOUNT_EVERY: Final = 100
_METRIC_MASK: Final = (1 << METRIC_BITS) - 1


class ReadingTables:
    """Segments, chunks and the newest reading of each metric."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gathered: dict[int, tuple[int, int]] = {}  # group: segments, rows
        self._writes = 0
        self._damaged: set[int] = set()

    def write(self, readings: Readings) -> None:
        """One segment a group. A few of the groups that are due are then sorted into chunks, so that no write is slow."""
        if not len(readings):
            return
        database = self._database
        with database.writing():
            numbers = np.array(database.patients.give_all(readings.patient.names), dtype=np.int64)
            written = list(segments(readings, numbers[readings.patient.codes]))
            database.each("INSERT INTO segments (patient_group, rows, first_ms, body) VALUES (?, ?, ?, ?)", written)
            if self._writes % _RECOUNT_EVERY == 0:  # another sink may write to the same file
                found = database.all("SELECT patient_group, COUNT(*), SUM(rows) FROM segments GROUP BY patient_group")
                self._gathered = {group: (count, rows) for group, count, rows in found}
            else:
                for group, rows, _, _ in written:
                    count, before = self._gathered.get(group, (0, 0))
                    self._gathered[group] = (count + 1, before + rows)
        self._writes += 1
        for group in self._due():
            self.compact(group)

    def _due(self) -> list[int]:
        due = [g for g, (count, rows) in self._gathered.items() if count >= MAX_SEGMENTS or rows >= MAX_ROWS]
        if not due:
            return []
        overdue = [g for g in due if self._gathered[g][1] >= 2 * MAX_ROWS]
        few = 1 + 2 * len(self._gathered) // MAX_SEGMENTS
        due.sort(key=lambda g: self._gathered[g], reverse=True)
        return list(dict.fromkeys([*overdue, *due[:few]]))

    def compact_all(self) -> None:
        """Sort every group into chunks."""
        with self._database.reading():
            groups = self._database.all("SELECT DISTINCT patient_group FROM segments")
        for (group,) in groups:
            self.compact(group)

    def compact(self, group: int) -> None:
        """Sort the segments of a group into chunks."""
        database = self._database
        with database.writing():
            found = database.all("SELECT id, body FROM segments WHERE patient_group = ?", (group,))
            self._gathered.pop(group, None)
            if not found:
                return
            fresh = join([body for _, body in found])
            chunks = self._chunks(np.unique(keys_of(fresh, group)).tolist())
            stored = self._unpacked(chunks)
            aside = [(chunk.key, chunk.rows, chunk.body) for chunk in chunks if chunk.key in self._damaged]
            database.each("INSERT INTO damaged_chunks (key, rows, body) VALUES (?, ?, ?)", aside)
            self._damaged.difference_update(key for key, _, _ in aside)
            # What is stored comes first: of rows that are equal in all that decides, it stays.
            rows = newest(concat([stored, fresh]))
            database.each(
                "INSERT OR REPLACE INTO chunks (key, rows, body) VALUES (?, ?, ?)",
                [(chunk.key, chunk.rows, chunk.body) for chunk in pack(rows, group)],
            )
            self._keep_newest(last_of_each(rows), group)
            database.each("DELETE FROM segments WHERE id = ?", [(segment,) for segment, _ in found])

    def _keep_newest(self, rows: Rows, group: int) -> None:
        keys = keys_of(rows, group) & ((1 << SPAN_SHIFT) - 1)
        columns = (rows[name].tolist() for name in ("time", "order", "value", "quality"))
        self._database.each(
            "INSERT INTO newest (patient, metric, time_ms, tie_order, value, quality) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET time_ms = excluded.time_ms, tie_order = excluded.tie_order, "
            "value = excluded.value, quality = excluded.quality "
            "WHERE (excluded.time_ms, excluded.tie_order) > (newest.time_ms, newest.tie_order)",
            list(zip((keys >> METRIC_BITS).tolist(), (keys & _METRIC_MASK).tolist(), *columns, strict=True)),
        )

    def _chunks(self, keys: list[int]) -> list[Chunk]:
        found = self._database.all(
            "SELECT key, rows, body FROM chunks WHERE key IN (SELECT value FROM json_each(?))", (json.dumps(keys),)
        )
        return [Chunk(key=key, rows=rows, body=body) for key, rows, body in found]

    def query(self, patient: str, metric: str, from_ms: int, to_ms: int, points: int) -> SeriesPoints:
        """See `SeriesStore`."""
        index = INDEX.get(metric)
        with self._database.reading():
            number = self._database.patients.number(patient)
            if number is None or index is None:
                return no_points()
            chunks = self._chunks(self._keys(number, index, from_ms, to_ms))
            gathered = self._gathered_rows(number)
        stored = self._unpacked(sorted(chunks, key=lambda chunk: chunk.key))
        rows = within(merged(stored, of_series(gathered, series_of(number, index))), from_ms, to_ms)
        value, quality = np.ascontiguousarray(rows["value"]), np.ascontiguousarray(rows["quality"])
        return downsample(times(rows), value, quality, from_ms, to_ms, points)

    def _keys(self, patient: int, metric: int, from_ms: int, to_ms: int) -> list[int]:
        # Each by itself is the end of a tree; asked for in one they are a scan of everybody's chunks.
        bounds = self._database.one("SELECT (SELECT MIN(key) FROM chunks), (SELECT MAX(key) FROM chunks)")
        if bounds is None or bounds[0] is None:
            return []
        first = max(from_ms // SPAN_MS, bounds[0] >> SPAN_SHIFT)
        last = min((to_ms - 1) // SPAN_MS, bounds[1] >> SPAN_SHIFT)
        return [chunk_key(span, patient, metric) for span in range(first, last + 1)]

    def _gathered_rows(self, patient: int) -> Rows:
        group = group_of(patient)
        found = self._database.all("SELECT body FROM segments WHERE patient_group = ? ORDER BY id", (group,))
        return join([body for (body,) in found])

    def latest(self, patient: str) -> dict[str, LatestPoint]:
        """See `SeriesStore`."""
        with self._database.reading():
            number = self._database.patients.number(patient)
            if number is None:
                return {}
            stored = self._database.all(
                "SELECT metric, time_ms, tie_order, value, quality FROM newest WHERE patient = ?", (number,)
            )
            gathered = self._gathered_rows(number)
        mine = newest(of_patient(gathered, number))
        last = last_of_each(mine)
        candidates = [(int(m), int(t), int(o), float(v), int(q)) for m, t, o, v, q in stored]
        candidates += [
            (series & _METRIC_MASK, time, order, value, quality)
            for series, time, order, value, quality in zip(
                *(last[name].tolist() for name in ("series", "time", "order", "value", "quality")), strict=True
            )
        ]
        candidates.sort(key=lambda row: row[:3])
        return {
            CATALOGUE[metric].name: LatestPoint(time_ms=time, value=value, quality=quality)
            for metric, time, _, value, quality in candidates
        }

    def retain(self, before_ms: int) -> None:
        """Forget the chunks that ended by `before_ms`, hour by hour: nobody waits long for the file."""
        database = self._database
        with database.reading():
            old = database.all(
                "SELECT patient_group FROM segments GROUP BY patient_group HAVING MIN(first_ms) < ?", (before_ms,)
            )
        for (group,) in old:  # a patient who left has segments that would otherwise never be due
            self.compact(group)
        end = before_ms // SPAN_MS
        while True:
            with database.writing():
                lowest = database.one("SELECT MIN(key) FROM chunks")
                if lowest is None or lowest[0] is None or lowest[0] >> SPAN_SHIFT >= end:
                    database.run("DELETE FROM newest WHERE time_ms < ?", (before_ms,))
                    return
                cut = min(end, (lowest[0] >> SPAN_SHIFT) + 6)
                database.run("DELETE FROM chunks WHERE key < ?", (cut << SPAN_SHIFT,))

    def _unpacked(self, chunks: Sequence[Chunk]) -> Rows:
        """The rows of chunks; none of a damaged one: a gap of ten minutes, not an end of everything."""
        sound: list[Chunk] = []
        plains: list[bytes] = []
        for chunk in chunks:
            try:
                plains.append(plain(chunk))
            except InvalidInput:
                if chunk.key not in self._damaged:
                    self._damaged.add(chunk.key)
                    log.error("chunk of the series store is damaged", key=chunk.key)
            else:
                sound.append(chunk)
        return unpack(sound, plains)
