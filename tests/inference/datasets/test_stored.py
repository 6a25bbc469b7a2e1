"""An export of the project's own streams is a recording like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from cli.stored_minutes import minutes
from contracts.errors import InvalidInput
from inference.datasets.folders import read_folder
from inference.datasets.recording import HOUR_MS
from inference.datasets.replay import feature_table
from inference.features import FEATURES
from infra.runtime.series import StoredWindow

DAY = 20_000 * 24 * HOUR_MS


def export(folder: Path, rows: list[tuple[str, str, int, float]], events: str = "patient,time_ms\n") -> Path:
    columns = {name: [row[k] for row in rows] for k, name in enumerate(("patient", "metric", "time_ms", "value"))}
    pa.parquet.write_table(pa.table(columns), folder / "values.parquet")
    (folder / "events.csv").write_text(events)
    return folder


def window(minute: int, **features: float) -> StoredWindow:
    named = {name.replace("__", "."): value for name, value in features.items()}
    return StoredWindow(window_end_ms=DAY + minute * 60_000, span_ms=60_000, late=0, revised=False, features=named)


def test_whole_minutes_with_enough_values_are_exported_as_the_features_take_them() -> None:
    windows = [
        window(1, heart_rate__median=70, heart_rate__mean=75, heart_rate__coverage=1.0),
        window(2, heart_rate__median=80, heart_rate__coverage=0.4),
        window(3, spo2__mean=97, spo2__coverage=0.9),
    ]
    windows.append(StoredWindow(window_end_ms=DAY + 10_000, span_ms=60_000, late=0, revised=False, features=windows[0].features))
    found = list(minutes("p", windows))
    assert found == [("p", "heart_rate", DAY + 59_999, 70.0), ("p", "spo2", DAY + 179_999, 97.0)]


def test_a_patient_is_scored_at_the_end_of_each_hour_until_the_event(tmp_path: Path) -> None:
    rows = [(p, "heart_rate", DAY + k * 60_000 - 1, 70.0 + k / 60) for p in ("a", "b") for k in range(1, 601)]
    recording = read_folder(export(tmp_path, rows, f"patient,time_ms\nb,{DAY + 8 * HOUR_MS + 5}\n"))
    moments = recording.moments
    #  a: hours 1 to 10.  b: hours 1 to 8, the event comes just after; the label turns 1 six hours before it
    assert ((moments.time_ms[moments.patient == 0] + 1 - DAY) // HOUR_MS).tolist() == list(range(1, 11))
    assert ((moments.time_ms[moments.patient == 1] + 1 - DAY) // HOUR_MS).tolist() == list(range(1, 9))
    assert moments.label[moments.patient == 1].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    assert not moments.label[moments.patient == 0].any()
    table = feature_table(recording)[moments.patient == 0]
    assert table[0, FEATURES.index("heart_rate.level")] == 71.0
    assert table[2, FEATURES.index("heart_rate.hours_6h")] == 3
    np.testing.assert_allclose(table[0, FEATURES.index("heart_rate.age_h")], 0, atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "events", "field"),
    [
        ([("a", "blood_sugar", DAY, 5.0)], "patient,time_ms\n", "metric"),
        ([("a", "heart_rate", DAY, 9999.0)], "patient,time_ms\n", "value"),
        ([("a", "heart_rate", DAY, 70.0)], f"patient,time_ms\nz,{DAY}\n", "patient"),
        ([("a", "heart_rate", DAY, 70.0)], "patient\na\n", "time_ms"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, rows: list[tuple[str, str, int, float]], events: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_folder(export(tmp_path, rows, events))
    assert caught.value.field == field
