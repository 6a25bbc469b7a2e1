"""The tables that the code means, and the ones that the migrations make, are the same on both databases."""

from __future__ import annotations

import multiprocessing
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, insert, inspect, text
from sqlalchemy.exc import DBAPIError

from contracts.alarms import Change
from contracts.errors import Fatal, Retryable, VigilError
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import alembic_config, open_engine, reading, upgrade, writing
from infra.runtime.sql.episodes import Alarm, advance
from infra.runtime.sql.models import ALARM_EVENTS, ALARMS, IDEMPOTENCY, METADATA, PATIENTS
from tests.infra.runtime.sql.events import event


def described(connection: Connection) -> dict[str, Any]:
    """Everything the database says about its tables, in comparable form."""
    inspector = inspect(connection)
    return {
        table: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(table)},
            "primary": inspector.get_pk_constraint(table),
            "foreign": sorted(map(str, inspector.get_foreign_keys(table))),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "checks": sorted(map(str, inspector.get_check_constraints(table))),
            "indexes": sorted(map(str, inspector.get_indexes(table))),
        }
        for table in sorted(inspector.get_table_names())
        if table != "alembic_version"
    }


def test_migrations_make_the_tables_that_the_code_means(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        migrated = described(connection)
        connection.rollback()
    with writing(engine) as connection:
        METADATA.drop_all(connection)
        METADATA.create_all(connection)
        assert described(connection) == migrated
    assert set(migrated) == set(METADATA.tables)


def test_upgrading_twice_changes_nothing(sql_url: str, engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO patients (patient) VALUES ('p-001')"))
    upgrade(sql_url)
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM patients")).scalar_one() == 1
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["0005"]


def test_alarms_outlive_the_step_that_adds_states(empty_url: str) -> None:
    """From the first schema with rows in every table that refers to alarms, to the newest, nothing lost and nothing loose."""
    from alembic import command

    engine = open_engine(empty_url)
    with writing(engine) as connection:
        command.upgrade(alembic_config(connection), "0001")
        raised = event(patient="p-001").model_copy(update={"feed_seq": 1})
        alarm = advance(None, raised, 1)
        assert isinstance(alarm, Alarm)
        connection.execute(insert(PATIENTS), {"patient": "p-001"})
        connection.execute(insert(ALARMS), alarm.row())
        connection.execute(
            insert(ALARM_EVENTS),
            {"feed_seq": 1, "event_id": raised.event_id, "alarm_id": raised.alarm_id, "alarm_version": 1,
             "change": "raised", "document": raised.model_dump_json()},
        )  # fmt: skip
        connection.execute(insert(IDEMPOTENCY), {"actor": "nurse", "idempotency_key": "k", "request": "r", "feed_seq": 1})
        connection.execute(text("UPDATE feed SET last_seq = 1"))
    upgrade(empty_url)
    store = AlarmStore(engine)
    assert (store.get(raised.alarm_id), store.events(raised.alarm_id)) == (alarm, [raised])
    store.record([event(Change.INHIBITED, patient="p-002"), event(Change.FOUND, patient="p-003")])
    assert [a.alarm_id for a in store.open_alarms()] == [raised.alarm_id]
    with pytest.raises(DBAPIError), writing(engine) as connection:
        connection.execute(text("DELETE FROM alarms"))  # their events still refer to them
    engine.dispose()


def test_processes_that_start_at_once_all_find_the_schema(empty_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        pool.map(upgrade, [empty_url] * 4)
    engine = open_engine(empty_url)
    assert AlarmStore(engine).last_feed_seq() == 0
    engine.dispose()


def test_a_step_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    engine = open_engine(empty_url)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE rule_versions (number integer)"))  # the last table of the first step
    with pytest.raises(DBAPIError, match="rule_versions"):
        upgrade(empty_url)
    with reading(engine) as connection:
        assert set(inspect(connection).get_table_names()) <= {"rule_versions"}
    engine.dispose()


def test_a_database_without_tables_says_what_to_do(empty_url: str) -> None:
    engine = open_engine(empty_url)
    with pytest.raises(VigilError) as caught:
        AlarmStore(engine).open_alarms()
    assert "vigil up" in str(caught.value)
    assert not isinstance(caught.value, Retryable)
    engine.dispose()


def test_a_server_that_is_away_is_worth_a_retry(free_port: Any) -> None:
    engine = open_engine(f"postgresql://someone:secret@127.0.0.1:{free_port()}/vigil")
    with pytest.raises(Retryable) as caught:
        AlarmStore(engine).open_alarms()
    assert "secret" not in str(caught.value)
    engine.dispose()


def test_a_locked_file_is_worth_a_retry(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'vigil.db'}"
    upgrade(url)
    engine = open_engine(url)
    other = sqlite3.connect(tmp_path / "vigil.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with engine.connect() as connection:  # do not wait as long as in service
        connection.exec_driver_sql("PRAGMA busy_timeout = 10")
    with pytest.raises(Retryable), writing(engine):
        pass
    other.execute("ROLLBACK")
    other.close()
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO patients (patient) VALUES ('p-001')"))
    engine.dispose()


def test_a_damaged_file_stops_the_process(tmp_path: Path) -> None:
    (tmp_path / "vigil.db").write_bytes(b"this was never a database" * 100)
    engine = open_engine(f"sqlite:///{tmp_path / 'vigil.db'}")
    with pytest.raises(Fatal), reading(engine):
        pass
    engine.dispose()


def test_the_file_belongs_to_its_user_alone(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path / 'state' / 'vigil.db'}")
    assert stat.S_IMODE((tmp_path / "state" / "vigil.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


@pytest.mark.parametrize("url", ["mysql://localhost/vigil", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(VigilError, match=r"SQLite needs a file|not supported"):
        open_engine(url)
