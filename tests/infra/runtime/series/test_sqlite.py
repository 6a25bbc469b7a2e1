"""What is special about the SQLite store: its two steps, its file, and other processes at the same file."""

from __future__ import annotations

import itertools
import multiprocessing
import sqlite3
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Fatal, Retryable, VigilError
from infra.runtime.series_sqlite import SqliteSeries
from infra.runtime.series_sqlite import readings as tables
from infra.runtime.series_sqlite.rows import ROW, SPAN_MS, Rows, newest, pack, plain, unpack
from tests.infra.runtime.series.columns import T0, readings, row, scores, windows

HOUR_MS = 3_600_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "series.db"


def counted(path: Path, table: str) -> int:
    """Rows of a table, seen by another connection."""
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])
    finally:
        connection.close()


def beats(path: Path, patient: str = "p-1") -> list[float]:
    """All values of a patient, read by a store of its own."""
    store = SqliteSeries(path, read_only=True)
    try:
        points = store.query(patient, "heart_rate", T0 - HOUR_MS, T0 + 24 * HOUR_MS, 100_000)
        return [float(value) for value in points.value]
    finally:
        store.close()


@given(
    offsets=st.lists(st.integers(0, 3 * SPAN_MS), min_size=1, max_size=200, unique_by=lambda t: t // 1000).map(sorted),
    data=st.data(),
)
def test_chunks_give_back_every_bit(offsets: list[int], data: st.DataObject) -> None:
    n = len(offsets)
    rows: Rows = np.zeros(n, dtype=ROW)
    rows["time"] = T0 + np.array(offsets)
    rows["order"] = data.draw(st.lists(st.integers(0, 2**52 - 1), min_size=n, max_size=n))
    rows["value"] = data.draw(st.lists(st.floats(width=32, allow_nan=False), min_size=n, max_size=n))
    rows["quality"] = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    rows["series"] = np.sort(np.array(data.draw(st.lists(st.integers(0, 2**14 - 1), min_size=n, max_size=n))))
    rows = newest(rows)
    chunks = pack(rows, group=5)
    assert sum(chunk.rows for chunk in chunks) == n
    assert len({chunk.key for chunk in chunks}) == len(chunks)
    back = newest(unpack(chunks, [plain(chunk) for chunk in chunks]))
    assert back.tobytes() == rows.tobytes()


def test_writes_put_things_in_order_by_themselves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_SEGMENTS", 10)
    store = SqliteSeries(path)
    expected = [float(i % 50) for i in range(95)]
    for i, value in enumerate(expected):
        store.write(readings([row(value, 1000 * i, patient=f"p-{p}") for p in range(3)]))
        assert counted(path, "segments") <= 10
    assert counted(path, "chunks") > 0
    assert beats(path) == beats(path, "p-2") == expected
    store.close()


def test_no_write_has_to_sort_every_group(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_SEGMENTS", 10)
    store = SqliteSeries(path)
    groups = 30
    left: list[int] = []
    for i in range(40):  # all groups are due at the tenth write
        store.write(readings([row(i, 1000 * i, patient=f"p-{p:05}") for p in range(0, 64 * groups)]))
        left.append(counted(path, "segments"))
    sorted_away = [before + groups - now for before, now in itertools.pairwise(left)]
    assert 0 < max(sorted_away) <= 200  # 7 of 30 groups at once, not 30 with 10 segments each
    assert left[-1] < groups * 20
    assert beats(path, "p-00000") == beats(path, f"p-{64 * groups - 1:05}") == [float(i) for i in range(40)]
    store.close()


def test_large_batches_are_put_in_order_sooner(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 500)
    store = SqliteSeries(path)
    store.write(readings([row(60, 1000 * i) for i in range(499)]))
    assert counted(path, "chunks") == 0
    store.write(readings([row(61, 1000 * i) for i in range(499, 600)]))
    assert counted(path, "segments") == 0
    assert len(beats(path)) == 600
    store.close()


def test_a_restart_goes_on_where_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_SEGMENTS", 4)
    for i in range(9):
        store = SqliteSeries(path)
        store.write(readings([row(i, 1000 * i)]))
        store.close()
    assert counted(path, "segments") < 4
    assert beats(path) == [float(i) for i in range(9)]


def test_late_rows_go_into_the_chunk_that_is_there(path: Path) -> None:
    store = SqliteSeries(path)
    store.write(readings([row(70, 0), row(72, 2000)]))
    store.compact()
    store.write(readings([row(71, 1000), row(73, 3000)]))
    store.compact()
    assert counted(path, "chunks") == 1
    assert beats(path) == [70, 71, 72, 73]
    store.close()


def test_a_day_takes_little_more_than_a_byte_a_value(path: Path) -> None:
    random = np.random.default_rng(1)
    walk = np.round(75 + np.cumsum(random.normal(0, 0.3, 6 * 3600)))
    store = SqliteSeries(path)
    store.write(readings([row(float(v), 1000 * i) for i, v in enumerate(walk)]))
    store.compact()
    connection = sqlite3.connect(path)
    (size,) = connection.execute("SELECT SUM(LENGTH(body)) FROM chunks").fetchone()
    connection.close()
    assert size / len(walk) < 1.5
    assert beats(path) == walk.tolist()
    store.close()


def write_some(path: Path, patient: str) -> None:
    """In a process of its own."""
    store = SqliteSeries(path)
    for i in range(30):
        store.write(readings([row(i, 1000 * i, patient=patient), row(i, 1000 * i, patient="p-shared", boot=i)]))
        store.write_windows([windows(10_000 * i, patients=[patient])])
        store.write_scores([scores(float(i), 10_000 * i, patient=patient)])
        if i % 10 == 0:
            store.compact()
    store.close()


def test_several_processes_may_write_to_one_file(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        pool.starmap(write_some, [(path, f"p-{i}") for i in range(3)])
    expected = [float(i) for i in range(30)]
    for i in range(3):
        assert beats(path, f"p-{i}") == expected
    assert beats(path, "p-shared") == expected
    store = SqliteSeries(path)
    assert len(store.windows("p-2", T0, T0 + HOUR_MS, 60_000)) == 30
    assert [s.score for s in store.scores("p-0", T0, T0 + HOUR_MS)] == expected
    store.close()


def test_reading_while_writing_sees_every_point_once(path: Path) -> None:
    store = SqliteSeries(path)
    store.write(readings([row(-1, -1000)]))
    failures: list[object] = []
    done = threading.Event()

    def look() -> None:
        mine = SqliteSeries(path, read_only=True)
        while not done.is_set():
            values = mine.query("p-1", "heart_rate", T0 - HOUR_MS, T0 + HOUR_MS, 10_000).value.tolist()
            if values != [float(i - 1) for i in range(len(values))]:
                failures.append(values)
        mine.close()

    reader = threading.Thread(target=look)
    reader.start()
    for i in range(150):
        store.write(readings([row(i, 1000 * i)]))
        if i % 7 == 0:
            store.compact()
    done.set()
    reader.join(timeout=30)
    assert not failures
    assert len(beats(path)) == 151
    store.close()


def test_a_write_that_fails_leaves_nothing_and_can_be_repeated(path: Path) -> None:
    store = SqliteSeries(path)
    store.write(readings([row(70)]))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("CREATE TRIGGER full BEFORE INSERT ON segments BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(sqlite3.IntegrityError):
        store.write(readings([row(71, 1000), row(80, 0, patient="p-new")]))
    other.execute("DROP TRIGGER full")
    other.execute("INSERT INTO patients (name) VALUES ('p-other')")  # takes the number that p-new had for a moment
    other.close()
    assert beats(path) == [70]
    store.write(readings([row(71, 1000), row(80, 0, patient="p-new")]))
    assert beats(path) == [70, 71]
    assert beats(path, "p-new") == [80]
    assert beats(path, "p-other") == []
    store.close()


def test_a_locked_file_is_worth_a_retry(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.runtime.series_sqlite.database.BUSY_S", 0.01)
    store = SqliteSeries(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Retryable):
        store.write(readings([row(70)]))
    assert store.latest("p-1") == {}  # reading goes on
    other.execute("ROLLBACK")
    other.close()
    store.write(readings([row(70)]))
    assert beats(path) == [70]
    store.close()


def test_a_folder_out_of_reach_is_worth_a_retry(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Retryable):
        SqliteSeries(tmp_path / "file" / "series.db")


def test_a_damaged_file_stops_the_process(tmp_path: Path) -> None:
    (tmp_path / "series.db").write_bytes(b"this was never a database" * 1000)
    with pytest.raises(Fatal):
        SqliteSeries(tmp_path / "series.db")


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_damaged_chunk_is_a_gap_and_nothing_else(path: Path, place: int) -> None:
    store = SqliteSeries(path)
    store.write(readings([row(70 + i % 3, 1000 * i) for i in range(1000)]))  # two chunks
    store.compact()
    connection = sqlite3.connect(path, isolation_level=None)
    key, body = connection.execute("SELECT key, body FROM chunks ORDER BY key").fetchone()
    changed = bytearray(body)
    changed[place] ^= 1
    connection.execute("UPDATE chunks SET body = ? WHERE key = ?", (bytes(changed), key))
    kept = [float(70 + i % 3) for i in range(600, 1000)]
    assert beats(path) == kept
    store.write(readings([row(60, 0)]))
    store.compact()
    assert beats(path) == [60, *kept]
    assert connection.execute("SELECT key, body FROM damaged_chunks").fetchall() == [(key, bytes(changed))]
    connection.close()
    store.close()


def test_a_full_disk_is_worth_a_retry(path: Path) -> None:
    store = SqliteSeries(path)
    store.write(readings([row(70)]))
    store._database.run("PRAGMA max_page_count = 20")
    with pytest.raises(Retryable):
        store.write(readings([row(71, 1000 * i) for i in range(10_000)]))
    assert beats(path) == [70]
    store._database.run("PRAGMA max_page_count = 1000000")
    store.write(readings([row(72, 10**9)]))
    store.close()


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    SqliteSeries(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(VigilError, match="newer"):
        SqliteSeries(path)


def test_who_only_reads_cannot_write(path: Path) -> None:
    SqliteSeries(path).close()
    store = SqliteSeries(path, read_only=True)
    with pytest.raises(Retryable, match="does not answer"):
        store.write(readings([row(70)]))
    store.close()


def test_the_file_belongs_to_its_user_alone(path: Path) -> None:
    SqliteSeries(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
