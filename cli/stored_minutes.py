"""What `vigil export` writes: what the stream stored, minute by minute, as the features of the stream take it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import parquet

from contracts.vitals import CATALOGUE
from contracts.windows import SHORT_MS
from infra.runtime.series import StoredWindow
from infra.runtime.series_stores import open_series
from infra.runtime.settings import Settings
from infra.runtime.sql.engine import open_engine
from infra.runtime.sql.patients import PatientStore

_COVERAGE: Final = 0.5  # as the features of the stream ask for
_SCHEMA: Final = pa.schema(
    [("patient", pa.string()), ("metric", pa.string()), ("time_ms", pa.int64()), ("value", pa.float32())]
)

Row = tuple[str, str, int, float]


def write_minutes(settings: Settings, path: Path, since_ms: int, until_ms: int) -> tuple[int, int]:
    """Write the minutes of every patient from `since_ms` until before `until_ms` as Parquet. How many values and patients."""
    people = PatientStore(open_engine(settings.sql_url)).all()
    store = open_series(settings, read_only=True)
    rows = 0
    try:
        with parquet.ParquetWriter(path, _SCHEMA) as writer:
            for person in people:
                # A minute is told by its last millisecond, its window by the end.
                found = list(minutes(person.patient, store.windows(person.patient, since_ms + 1, until_ms + 1, SHORT_MS)))
                if found:
                    writer.write_table(pa.Table.from_pylist([dict(zip(_SCHEMA.names, r, strict=True)) for r in found], _SCHEMA))
                rows += len(found)
    finally:
        store.close()
    return rows, len(people)


def minutes(patient: str, windows: Iterable[StoredWindow]) -> Iterator[Row]:
    """The values of windows that end on a whole minute, as the features of the stream take them: the median of a minute in
    which half of the expected values came, at the minute's last millisecond."""
    for window in windows:
        if window.window_end_ms % SHORT_MS:
            continue
        for vital in CATALOGUE:
            features = window.features
            value = features.get(f"{vital.name}.median", features.get(f"{vital.name}.mean"))
            if value is not None and features.get(f"{vital.name}.coverage", 0.0) >= _COVERAGE:
                yield patient, vital.name, window.window_end_ms - 1, float(value)
