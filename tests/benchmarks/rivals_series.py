"""The rivals of the series stores: one row per value or window in SQLite, and influxdb-client's own `Point` objects."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import numpy as np
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision

from contracts.readings import Readings
from contracts.vitals import CATALOGUE, INDEX
from contracts.windows import Windows

_POINTS_AT_ONCE: Final = 10_000
_new_point: Final[Any] = Point  # its module has no types
_MILLISECONDS: Final[Any] = WritePrecision.MS  # its constants are plain texts, its signature says otherwise


class RowStore:
    """A row per value, well tuned: WAL, one transaction a batch, synced as ours is, keyed for the chart's question."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("page_size = 8192", "journal_mode = WAL", "synchronous = FULL", "cache_size = -64000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(
            "CREATE TABLE points (patient INTEGER, metric INTEGER, time_ms INTEGER, value REAL, quality INTEGER, "
            "boot INTEGER, seq INTEGER, PRIMARY KEY (patient, metric, time_ms)) WITHOUT ROWID"
        )
        self._patients: dict[str, int] = {}

    def write(self, readings: Readings) -> None:
        """One batch."""
        numbers = [self._patients.setdefault(name, len(self._patients)) for name in readings.patient.names]
        rows = zip(
            (numbers[code] for code in readings.patient.codes.tolist()), readings.metric.tolist(), readings.time_ms.tolist(),
            readings.value.tolist(), readings.quality.tolist(), readings.boot.tolist(), readings.seq.tolist(),
            strict=True,
        )  # fmt: skip
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        self._connection.execute("COMMIT")

    def query(self, patient: str, metric: str, from_ms: int, to_ms: int, points: int) -> list[tuple[Any, ...]]:
        """At most `points` points: mean and extremes of each stretch of time, in SQL."""
        return self._connection.execute(
            "SELECT (time_ms - ?1) / ?2 AS stretch, avg(time_ms), avg(value), min(value), max(value), max(quality) "
            "FROM points WHERE patient = ?3 AND metric = ?4 AND time_ms >= ?1 AND time_ms < ?5 AND quality <= 1 "
            "GROUP BY stretch",
            (from_ms, -(-(to_ms - from_ms) // points), self._patients[patient], INDEX[metric], to_ms),
        ).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class WindowRows:
    """A row per window with its numbers as one blob, keyed for the question after one patient's windows. As synced as ours."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("page_size = 8192", "journal_mode = WAL", "synchronous = FULL", "cache_size = -64000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(
            "CREATE TABLE windows (patient TEXT, span_ms INTEGER, end_ms INTEGER, late INTEGER, numbers BLOB, "
            "PRIMARY KEY (patient, span_ms, end_ms)) WITHOUT ROWID"
        )

    def write_windows(self, windows: Sequence[Windows]) -> None:
        """One batch."""
        self._connection.execute("BEGIN")
        for each in windows:
            table = np.stack([each.features[name] for name in sorted(each.features)], axis=1)
            rows = zip(
                each.patient.tolist(), each.span_ms.tolist(), each.window_end_ms.tolist(), each.late.tolist(),
                (row.tobytes() for row in table), strict=True,
            )  # fmt: skip
            self._connection.executemany("INSERT OR REPLACE INTO windows VALUES (?, ?, ?, ?, ?)", rows)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class PointStore:
    """As the client's documentation writes: a `Point` a value, in batches, synchronously. `url` as ours."""

    def __init__(self, url: str, token: str) -> None:
        parsed = urlsplit(url)
        self._bucket = parsed.path.strip("/")
        org = parse_qs(parsed.query)["org"][0]
        self._client = InfluxDBClient(f"http://{parsed.hostname}:{parsed.port}", token=token, org=org)
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)

    def write(self, readings: Readings) -> None:
        """One batch."""
        patients = readings.patient.names
        points = [
            _new_point("vitals").tag("patient", patients[code]).tag("metric", CATALOGUE[metric].name)
            .field("v", value).field("q", quality).time(time_ms, _MILLISECONDS)
            for code, metric, value, quality, time_ms in zip(
                readings.patient.codes.tolist(), readings.metric.tolist(), readings.value.tolist(),
                readings.quality.tolist(), readings.time_ms.tolist(), strict=True,
            )
        ]  # fmt: skip
        for first in range(0, len(points), _POINTS_AT_ONCE):
            self._writer.write(
                self._bucket, record=points[first : first + _POINTS_AT_ONCE], write_precision=_MILLISECONDS
            )

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()  # type: ignore[no-untyped-call]
