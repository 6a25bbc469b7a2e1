"""The audit log holds every row that was written, in order, and says where it was touched. T-69."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from infra.runtime.sql.audit import AuditStore, Entry, Head
from infra.runtime.sql.engine import open_engine, reading, writing

NOW_MS = 1_772_359_200_000


def entry(number: int, **fields: Any) -> Entry:
    plain = Entry(at_ms=NOW_MS + number, action="patient.see", operation="GET /x", outcome="allowed", actor="änna")
    return replace(plain, patient=f"p-{number % 7}", **fields)


def unlock(engine: Engine) -> None:
    """What only the owner of the database can do."""
    with writing(engine) as connection:
        if engine.dialect.name == "sqlite":
            for what in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER audit_log_no_{what}"))
        else:
            connection.execute(text("DROP TRIGGER audit_log_append_only ON audit_log"))


def run(engine: Engine, *statements: str) -> None:
    with writing(engine) as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_what_was_written_is_there_in_order_and_right(engine: Engine) -> None:
    store = AuditStore(engine)
    first = store.append([entry(n) for n in range(3)])
    assert first.seq == 3
    last = store.append([entry(3, outcome="denied", reason="role", times=5)])
    assert store.append([]) == last == store.head()
    found = store.page(limit=2)
    assert [seq for seq, _ in found] == [4, 3]
    assert found[0][1] == entry(3, outcome="denied", reason="role", times=5)
    assert [seq for seq, _ in store.page(before_seq=3, patient="p-1")] == [2]
    assert [seq for seq, _ in store.page(outcome="denied")] == [4]
    verdict = store.verify([first, last])
    assert (verdict.rows, verdict.head, verdict.flaw) == (4, last, None)


def test_an_empty_log_is_right(engine: Engine) -> None:
    assert AuditStore(engine).verify().flaw is None


def test_nothing_can_be_changed_or_removed_by_the_way(engine: Engine) -> None:
    AuditStore(engine).append([entry(1)])
    for statement in ("UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log"):
        with pytest.raises(DBAPIError, match="append-only"):
            run(engine, statement)


TOUCHED: list[tuple[list[str], int, str]] = [
    (["UPDATE audit_log SET actor = 'eve' WHERE seq = 5"], 5, "row 5 was changed"),
    (["UPDATE audit_log SET times = 2 WHERE seq = 1"], 1, "row 1 was changed"),
    (["UPDATE audit_log SET patient = NULL WHERE seq = 10"], 10, "row 10 was changed"),
    (["DELETE FROM audit_log WHERE seq = 6"], 6, "row 6 is missing"),
    (["DELETE FROM audit_log WHERE seq BETWEEN 1 AND 3"], 1, "rows 1 to 3 are missing"),
    (["DELETE FROM audit_log WHERE seq >= 9"], 9, "rows 9 to 10 are missing"),
    (["DELETE FROM audit_log"], 1, "rows 1 to 10 are missing"),
    (
        ["UPDATE audit_log SET seq = 99 WHERE seq = 4", "UPDATE audit_log SET seq = 4 WHERE seq = 7",
         "UPDATE audit_log SET seq = 7 WHERE seq = 99"], 4, "row 4 was moved: it was written as row 7",
    ),
    (
        ["DELETE FROM audit_log WHERE seq = 4", "UPDATE audit_log SET seq = seq - 1 WHERE seq = 5"],
        4, "row 4 was changed",
    ),
    (
        ["INSERT INTO audit_log (seq, at_ms, action, operation, outcome, times, hash)"
         " VALUES (11, 1, 'a', 'b', 'allowed', 1, 'c')"], 11, "row 11 was changed",
    ),
    (["UPDATE audit_head SET seq = 8"], 9, "row 9 was added by something else"),
    (["UPDATE audit_head SET hash = 'x'"], 10, "row 10 is not the one that was written last"),
]  # fmt: skip


def test_it_says_which_row_was_touched(engine: Engine) -> None:
    store = AuditStore(engine)
    unlock(engine)
    for done, seq, said in TOUCHED:
        run(engine, "DELETE FROM audit_log", f"UPDATE audit_head SET seq = 0, hash = '{'0' * 64}'")
        store.append([entry(n) for n in range(10)])
        run(engine, *done)
        flaw = store.verify().flaw
        assert flaw is not None, done
        assert (flaw.seq, said in flaw.what) == (seq, True), (done, flaw)


def test_a_log_written_anew_is_found_by_a_head_that_was_told_elsewhere(engine: Engine) -> None:
    """The chain of the forger is whole; only what was told outside the database is not part of it."""
    store = AuditStore(engine)
    told = store.append([entry(n) for n in range(5)])
    unlock(engine)
    run(engine, "DELETE FROM audit_log", f"UPDATE audit_head SET seq = 0, hash = '{'0' * 64}'")
    store.append([entry(n, actor="eve") for n in range(5)])
    assert store.verify().flaw is None
    flaw = store.verify([told]).flaw
    assert flaw is not None
    assert "written anew" in flaw.what
    cut = store.verify([Head(seq=9, hash="x")]).flaw
    assert cut is not None
    assert cut.what == "rows 6 to 9 are missing"


def test_several_writers_leave_no_gap(sql_url: str, engine: Engine) -> None:
    def write(writer: int) -> None:
        own = open_engine(sql_url)
        for number in range(20):
            AuditStore(own).append([entry(number, actor=f"w{writer}"), entry(number, actor=f"w{writer}")])
        own.dispose()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = AuditStore(engine).verify()
    assert (verdict.rows, verdict.flaw) == (120, None)
    rows = [e for _, e in reversed(AuditStore(engine).page(limit=200))]
    for writer in range(3):
        assert [e.at_ms - NOW_MS for e in rows if e.actor == f"w{writer}"] == [n for n in range(20) for _ in range(2)]


COLUMNS = (
    "at_ms", "actor", "session", "action", "operation", "patient", "object", "outcome", "reason", "source", "times", "hash",
)  # fmt: skip


def _edit_is_found(engine: Engine, row: int, column: str, value: int) -> None:
    store = AuditStore(engine)
    if store.head().seq == 0:
        store.append([entry(n, session=f"s{n}", object=f"o{n}", reason="r", source="127.0.0.1") for n in range(30)])
        unlock(engine)
    with reading(engine) as connection:
        was = connection.execute(text(f"SELECT {column} FROM audit_log WHERE seq = {row}")).scalar_one()
    with writing(engine) as connection:
        changed = text(f"UPDATE audit_log SET {column} = :value WHERE seq = {row}")
        connection.execute(changed, {"value": was + 1 + value if isinstance(was, int) else f"x{value}"})
    flaw = store.verify().flaw
    assert flaw is not None
    assert flaw.seq == row
    with writing(engine) as connection:
        connection.execute(text(f"UPDATE audit_log SET {column} = :was WHERE seq = {row}"), {"was": was})
    assert store.verify().flaw is None


EDITS = {"row": st.integers(1, 30), "column": st.sampled_from(COLUMNS), "value": st.integers(0, 9)}
SHARED = [HealthCheck.function_scoped_fixture]


@pytest.mark.parametrize("empty_url", ["sqlite"], indirect=True)
@settings(max_examples=40, deadline=None, suppress_health_check=SHARED)
@given(**EDITS)
def test_any_edit_is_found_at_its_row(engine: Engine, row: int, column: str, value: int) -> None:
    _edit_is_found(engine, row, column, value)


@pytest.mark.faults
@settings(max_examples=1000, deadline=None, suppress_health_check=SHARED)
@given(**EDITS)
def test_a_thousand_edits_are_found_at_their_rows(engine: Engine, row: int, column: str, value: int) -> None:
    """T-69, on both databases."""
    _edit_is_found(engine, row, column, value)
