"""The store of the port `infra.runtime.series`, in a SQLite file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contracts.readings import Readings
from contracts.scores import Scores
from contracts.windows import Windows
from infra.runtime.series import LatestPoint, SeriesPoints, StoredScore, StoredWindow
from infra.runtime.series_sqlite.database import Database
from infra.runtime.series_sqlite.readings import ReadingTables
from infra.runtime.series_sqlite.vectors import VectorTables


class SqliteSeries:
    """A `SeriesStore` in the file `path`, which is made where it is missing. Several processes may use it at once.

    Opening raises `Retryable` when the file is locked or out of reach, `Fatal` when it is damaged.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._database = Database(path, read_only=read_only)
        self._readings = ReadingTables(self._database)
        self._vectors = VectorTables(self._database)
        if not read_only:
            self._vectors.adopt()

    def write(self, readings: Readings) -> None:
        """See `SeriesStore`."""
        self._readings.write(readings)

    def compact(self) -> None:
        """Sort everything that has gathered into chunks, at once instead of bit by bit as `write` does."""
        self._readings.compact_all()
        self._vectors.compact_all()

    def write_windows(self, windows: Sequence[Windows]) -> None:
        """See `SeriesStore`."""
        self._vectors.write_windows(windows)

    def write_scores(self, scores: Sequence[Scores]) -> None:
        """See `SeriesStore`."""
        self._vectors.write_scores(scores)

    def query(self, patient: str, metric: str, from_ms: int, to_ms: int, points: int) -> SeriesPoints:
        """See `SeriesStore`."""
        return self._readings.query(patient, metric, from_ms, to_ms, points)

    def latest(self, patient: str) -> dict[str, LatestPoint]:
        """See `SeriesStore`."""
        return self._readings.latest(patient)

    def windows(self, patient: str, from_ms: int, to_ms: int, span_ms: int) -> list[StoredWindow]:
        """See `SeriesStore`."""
        return self._vectors.windows(patient, from_ms, to_ms, span_ms)

    def scores(self, patient: str, from_ms: int, to_ms: int, model: str | None = None) -> list[StoredScore]:
        """See `SeriesStore`."""
        return self._vectors.scores(patient, from_ms, to_ms, model)

    def retain(self, before_ms: int, windows_before_ms: int | None = None) -> None:
        """See `SeriesStore`."""
        self._readings.retain(before_ms)
        self._vectors.retain(before_ms if windows_before_ms is None else windows_before_ms)

    def close(self) -> None:
        """See `SeriesStore`."""
        self._database.close()
