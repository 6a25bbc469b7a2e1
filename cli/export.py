"""`vigil export --out DIR`: what the stream stored, minute by minute, as Parquet to train and evaluate on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import pyarrow as pa
import pyarrow.parquet
import typer
from rich.console import Console

from contracts.errors import VigilError
from contracts.vitals import CATALOGUE
from contracts.windows import SHORT_MS
from infra.runtime.series import StoredWindow

_COVERAGE: Final = 0.5  # as the features of the stream ask for
_SCHEMA: Final = pa.schema(
    [("patient", pa.string()), ("metric", pa.string()), ("time_ms", pa.int64()), ("value", pa.float32())]
)
_DAY_MS: Final = 86_400_000

Row = tuple[str, str, int, float]


def export(
    out: Annotated[Path, typer.Option(help="A new folder for values.parquet and events.csv.")],
    since: Annotated[datetime | None, typer.Option(help="From when on, UTC. Default: everything that is kept.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Until when, UTC. Default: now.")] = None,
) -> None:
    """Write the minutes of every patient to a folder that `vigil train` and `vigil evaluate` read.

    `events.csv` is written with its heading alone: what is to be foreseen, and when it happened, is known to people.
    """
    from infra.runtime.clock import SystemClock
    from infra.runtime.series_stores import open_series
    from infra.runtime.settings import load
    from infra.runtime.sql.engine import open_engine
    from infra.runtime.sql.patients import PatientStore

    settings = load()
    if out.exists() and any(out.iterdir()):
        raise VigilError(f"The folder {out.name} is not empty.", fix="name a new folder")
    until_ms = SystemClock().now_ms() + _DAY_MS if until is None else _ms(until)
    since_ms = 0 if since is None else _ms(since)
    out.mkdir(parents=True, exist_ok=True)
    people = PatientStore(open_engine(settings.sql_url)).all()
    store = open_series(settings, read_only=True)
    rows = 0
    try:
        with pa.parquet.ParquetWriter(out / "values.parquet", _SCHEMA) as writer:
            for person in people:
                found = list(minutes(person.patient, store.windows(person.patient, since_ms, until_ms, SHORT_MS)))
                if found:
                    writer.write_table(pa.Table.from_pylist([dict(zip(_SCHEMA.names, r, strict=True)) for r in found], _SCHEMA))
                rows += len(found)
    finally:
        store.close()
    (out / "events.csv").write_text("patient,time_ms\n", encoding="utf-8")
    Console().print(f"{rows:,} values of {len(people):,} patients; write their events into events.csv", highlight=False)


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


def _ms(moment: datetime) -> int:
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
