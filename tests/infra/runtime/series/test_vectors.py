"""Windows and scores in the SQLite file: whatever is revised, sent again or sorted meanwhile, what counts is what is read."""

from __future__ import annotations

import itertools
import json
import math
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.scores import Status
from contracts.windows import SHORT_MS
from infra.runtime.series_sqlite import SqliteSeries
from infra.runtime.series_sqlite.rows import SPAN_MS
from infra.runtime.series_sqlite.vectors import LATE_MS
from tests.infra.runtime.series.columns import T0, scores, windows

HOP_MS = 10_000
ENDS = st.integers(-2, 140).map(lambda hops: hops * HOP_MS)  # over the edges of ten minutes
WINDOW = st.tuples(st.just("window"), ENDS, st.integers(0, 3), st.sampled_from(["spo2.mean", "heart_rate.mean"]))
SCORE = st.tuples(
    st.just("score"), ENDS, st.sampled_from(list(Status)), st.sampled_from(["1", "2"]),
)  # fmt: skip
SORTED = st.tuples(st.sampled_from(["sort", "open again"]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "series.db"


def counted(path: Path, table: str) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])
    finally:
        connection.close()


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(st.one_of(WINDOW, SCORE, SORTED), min_size=1, max_size=30))
def test_what_is_read_is_the_last_revision_and_the_last_score(steps: list[tuple[object, ...]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "series.db"
        store = SqliteSeries(path)
        window_at: dict[int, tuple[int, dict[str, float]]] = {}
        score_at: dict[int, tuple[float | None, str, str]] = {}
        for number, step in enumerate(steps):
            value = float(number)
            match step:
                case ("window", int(end), int(late), str(name)):
                    store.write_windows([windows(end, patients=["p-0", "p-1"], late=late, features={name: value})])
                    if late >= window_at.get(end, (0, {}))[0]:
                        window_at[end] = (late, {name: value})
                case ("score", int(end), Status() as status, str(version)):
                    said = value if status is Status.OK else math.nan
                    store.write_scores([scores(said, end, status=status, version=version)])
                    score_at[end] = (None if math.isnan(said) else said, str(status), version)
                case ("sort",):
                    store.compact()
                case _:
                    store.close()
                    store = SqliteSeries(path)
        from_ms, to_ms = T0 - HOP_MS, T0 + 100 * HOP_MS
        found = store.windows("p-1", from_ms, to_ms, SHORT_MS)
        assert [(w.window_end_ms - T0, w.late, dict(w.features)) for w in found] == [
            (end, *window_at[end]) for end in sorted(window_at) if -HOP_MS <= end < 100 * HOP_MS
        ]
        said_at = [(s.window_end_ms - T0, (s.score, s.status, s.version)) for s in store.scores("p-1", from_ms, to_ms)]
        assert said_at == [(end, score_at[end]) for end in sorted(score_at) if -HOP_MS <= end < 100 * HOP_MS]
        store.close()


def test_ten_minutes_that_are_over_become_chunks_by_themselves(path: Path) -> None:
    store = SqliteSeries(path)
    patients = [f"p-{number}" for number in range(100)]
    for end in range(0, SPAN_MS + LATE_MS, HOP_MS):
        store.write_windows([windows(end, patients=patients, features={"heart_rate.mean": float(end)})])
    assert counted(path, "vector_chunks") == 0  # the second ten minutes have not been over for long enough
    for end in range(SPAN_MS + LATE_MS, 2 * SPAN_MS, HOP_MS):
        store.write_windows([windows(end, patients=patients, features={"heart_rate.mean": float(end)})])
    assert counted(path, "vector_chunks") >= len(patients)
    assert counted(path, "vector_segments") < 2 * 2 * SPAN_MS // HOP_MS
    found = store.windows("p-70", T0, T0 + 2 * SPAN_MS, SHORT_MS)
    assert [w.features["heart_rate.mean"] for w in found] == [float(end) for end in range(0, 2 * SPAN_MS, HOP_MS)]
    store.close()


def test_no_write_has_to_sort_every_group(path: Path) -> None:
    store = SqliteSeries(path)
    groups = 30
    patients = [f"p-{number:05}" for number in range(64 * groups)]
    store.write_windows([windows(0, patients=patients)])
    left = [counted(path, "vector_segments")]
    for number in range(groups):
        store.write_windows([windows(SPAN_MS + LATE_MS + number * HOP_MS, patients=["p-00000"])])
        left.append(counted(path, "vector_segments"))
    assert all(before + 1 - now <= 2 for before, now in itertools.pairwise(left))
    assert len(store.windows("p-01900", T0, T0 + 1, SHORT_MS)) == 1
    assert counted(path, "vector_chunks") >= 64 * (groups - 2)
    store.close()


def test_a_window_of_eighty_numbers_takes_a_third_of_its_bytes(path: Path) -> None:
    random = np.random.default_rng(1)
    store = SqliteSeries(path)
    level = random.normal(80, 5, 8)
    for end in range(0, SPAN_MS, HOP_MS):
        level += random.normal(0, 0.1, 8)
        features = {f"m{m}.{s}": float(np.round(level[m])) for m in range(8) for s in ("min", "max", "last", "median")}
        features |= {f"m{m}.{s}": 60.0 for m in range(8) for s in ("count", "good", "coverage")}
        features |= {f"m{m}.{s}": float(level[m]) + random.normal() for m in range(8) for s in ("mean", "std", "slope")}
        store.write_windows([windows(end, features=features)])
    store.compact()
    connection = sqlite3.connect(path)
    (size,) = connection.execute("SELECT SUM(LENGTH(body)) FROM vector_chunks").fetchone()
    connection.close()
    assert size / 60 < 80 * 4 / 2.5
    store.close()


def test_a_damaged_chunk_is_a_gap_of_ten_minutes(path: Path) -> None:
    store = SqliteSeries(path)
    store.write_windows([windows(end) for end in range(0, 2 * SPAN_MS, HOP_MS)])
    store.compact()
    other = sqlite3.connect(path)
    first = "(SELECT MIN(span) FROM vector_chunks)"
    other.execute(f"UPDATE vector_chunks SET body = CAST(X'00' || body AS BLOB) WHERE span = {first}")
    other.commit()
    other.close()
    found = store.windows("p-1", T0, T0 + 2 * SPAN_MS, SHORT_MS)
    assert [w.window_end_ms - T0 for w in found] == list(range(SPAN_MS, 2 * SPAN_MS, HOP_MS))
    store.write_windows([windows(HOP_MS, features={"spo2.mean": 96.0})])  # and what is sent again is there again
    store.compact()
    assert store.windows("p-1", T0, T0 + SPAN_MS, SHORT_MS)[0].window_end_ms == T0 + HOP_MS
    store.close()


def test_a_file_of_the_older_form_is_taken_over(path: Path) -> None:
    SqliteSeries(path).close()
    older = sqlite3.connect(path)
    older.executescript(
        "DROP TABLE vector_segments; DROP TABLE vector_chunks;"
        "CREATE TABLE vectors (patient INTEGER NOT NULL, stream INTEGER NOT NULL, end_ms INTEGER NOT NULL, "
        "revision INTEGER NOT NULL, layout INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (patient, stream, end_ms)) "
        "WITHOUT ROWID; PRAGMA user_version = 1"
    )
    older.executemany("INSERT INTO patients (id, name) VALUES (?, ?)", [(1, "p-1"), (200, "p-200")])
    older.executemany("INSERT INTO streams (id, name) VALUES (?, ?)", [(1, f"window {SHORT_MS}"), (2, "score m")])
    layouts = [json.dumps(["heart_rate.mean", "spo2.mean"]), json.dumps(["3", "ok", ["spo2"], []])]
    older.executemany("INSERT INTO layouts (id, name) VALUES (?, ?)", list(enumerate(layouts, 1)))
    older.executemany(
        "INSERT INTO vectors VALUES (?, ?, ?, ?, ?, ?)",
        [
            (patient, stream, T0 + end, stream == 1 and 5, stream, np.array([end, 0.5], dtype="<f4").tobytes())
            for patient in (1, 200)
            for stream in (1, 2)
            for end in (0, HOP_MS)
        ],
    )
    older.commit()
    older.close()
    SqliteSeries(path, read_only=True).close()  # may be the first to open it
    store = SqliteSeries(path)
    for patient in ("p-1", "p-200"):
        found = store.windows(patient, T0, T0 + SPAN_MS, SHORT_MS)
        assert [(w.window_end_ms - T0, w.late, w.revised) for w in found] == [(0, 2, True), (HOP_MS, 2, True)]
        assert dict(found[1].features) == {"heart_rate.mean": 10_000.0, "spo2.mean": 0.5}
        (first, _) = store.scores(patient, T0, T0 + SPAN_MS, "m")
        assert (first.score, first.version, dict(first.contributions)) == (0.0, "3", {"spo2": 0.5})
    assert counted(path, "sqlite_master WHERE name = 'vectors'") == 0
    store.close()
