"""The tables that the code means, and the ones that the migrations make, are the same on both databases."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from contracts.alarms import AlarmEvent, Change, Priority, State
from contracts.errors import Fatal, Retryable, VigilError
from infra.runtime.sql import access_tables
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.engine import alembic_config, open_engine, reading, upgrade, writing
from infra.runtime.sql.episode_pages import EpisodeReader
from infra.runtime.sql.episodes import rebuilt
from infra.runtime.sql.models import METADATA
from tests.infra.runtime.sql.events import ONSET_MS, event


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
    } | {view: " ".join(inspector.get_view_definition(view).split()) for view in inspector.get_view_names()}


def test_migrations_make_the_tables_that_the_code_means(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        migrated = described(connection)
        connection.rollback()
    with writing(engine) as connection:
        METADATA.drop_all(connection)
        METADATA.create_all(connection)
        assert described(connection) == migrated
    assert set(migrated) == {*METADATA.tables, "called_alarms"}
    assert access_tables.AUDIT_LOG.name in migrated


def test_upgrading_twice_changes_nothing(sql_url: str, engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO patients (patient) VALUES ('p-001')"))
    upgrade(sql_url)
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM patients")).scalar_one() == 1
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["0011"]


def recorded_by_the_first_schema(connection: Connection, events: list[AlarmEvent], **columns: Any) -> None:
    """One alarm and its events in the columns of the first schema."""
    first, last = events[0], events[-1]
    connection.execute(text("INSERT INTO patients (patient) VALUES (:p)"), {"p": first.patient})
    row = {
        "alarm_id": first.alarm_id, "patient": first.patient, "device": first.device, "condition": first.condition,
        "rule_version": first.rule_version, "lane": first.lane, "priority": last.priority, "metric": first.metric,
        "text": last.text, "reasons": json.dumps([r.model_dump() for r in last.reasons]), "state": last.state,
        "version": len(events), "onset_ms": first.onset_ms, "condition_ms": first.condition_ms, "raised_ms": first.at_ms,
        "feed_seq": last.feed_seq, **columns,
    }  # fmt: skip
    connection.execute(text(f"INSERT INTO alarms ({', '.join(row)}) VALUES ({', '.join(f':{n}' for n in row)})"), row)
    for one in events:
        connection.execute(
            text(
                "INSERT INTO alarm_events (feed_seq, event_id, alarm_id, alarm_version, change, document)"
                " VALUES (:seq, :event, :alarm, :version, :change, :document)"
            ),
            {
                "seq": one.feed_seq, "event": one.event_id, "alarm": one.alarm_id, "version": one.alarm_version,
                "change": one.change, "document": one.model_dump_json(exclude={"to"}),
            },
        )  # fmt: skip
    connection.execute(text("UPDATE feed SET last_seq = :seq"), {"seq": last.feed_seq})


def test_alarms_outlive_the_steps(empty_url: str) -> None:
    """From the first schema with rows in every table that refers to alarms, to the newest, nothing lost and nothing loose; and
    what stands in the new columns is what the events tell."""
    from alembic import command

    def numbered(seq: int, version: int, state: State, one: AlarmEvent, **said: Any) -> AlarmEvent:
        return one.model_copy(update={"feed_seq": seq, "alarm_version": version, "state": state, **said})

    acknowledged, worse, priority = Change.ACKNOWLEDGED, Change.WORSENED, Priority.HIGH
    seen = {"actor": "nurse", "note": "on my way"}
    events = [
        numbered(1, 1, State.ACTIVE, event(patient="p-001")),
        numbered(2, 2, State.ACKNOWLEDGED, event(acknowledged, patient="p-001", at_ms=ONSET_MS + 20_000), **seen),
        numbered(3, 3, State.ACTIVE, event(worse, patient="p-001", priority=priority)),
        numbered(4, 4, State.ACKNOWLEDGED, event(acknowledged, patient="p-001", priority=priority, cause=2), **seen),
        numbered(5, 5, State.ACKNOWLEDGED, event(Change.ASSIGNED, patient="p-001", priority=priority), actor="a", note="b"),
    ]
    engine = open_engine(empty_url)
    with writing(engine) as connection:
        command.upgrade(alembic_config(connection), "0001")
        people = {"acknowledged_by": "nurse", "acknowledged_ms": events[3].at_ms, "assigned_to": "b"}
        recorded_by_the_first_schema(connection, events, **people)
        connection.execute(text("INSERT INTO idempotency_keys VALUES ('nurse', 'k', 'digest', 4)"))
    upgrade(empty_url)
    store = AlarmStore(engine)
    found = store.get(events[0].alarm_id)
    assert store.events(events[0].alarm_id) == events
    assert found == rebuilt(events)
    assert found is not None
    assert (found.first_acknowledged_ms, found.called_ms) == (ONSET_MS + 20_000, ONSET_MS + 10_000)
    assert [a.alarm_id for a in store.quiet_alarms()] == [found.alarm_id], "an acknowledgement of before ends like any other"
    store.record([event(Change.INHIBITED, patient="p-002"), event(Change.FOUND, patient="p-003")])
    assert [a.alarm_id for a in store.open_alarms()] == [found.alarm_id]
    with pytest.raises(DBAPIError), writing(engine) as connection:
        connection.execute(text("DELETE FROM alarms"))  # their events still refer to them
    never_called = [a for a in store.page().items if a.called_ms is None]
    assert {a.state for a in never_called} == {State.INHIBITED, State.RETROSPECTIVE}
    engine.dispose()


def test_an_alarm_keeps_its_episode_when_it_becomes_a_part_of_it(empty_url: str) -> None:
    from alembic import command

    engine = open_engine(empty_url)
    one = event(patient="p-001").model_copy(update={"feed_seq": 1, "alarm_version": 1, "state": State.ACTIVE})
    head = {"p": "p-001", "lane": "physiological", "id": "e1", "ms": one.at_ms}
    with writing(engine) as connection:
        command.upgrade(alembic_config(connection), "0005")
        recorded_by_the_first_schema(connection, [one])
        connection.execute(text("INSERT INTO episode_members VALUES (:alarm, 'e1')"), {"alarm": one.alarm_id})
        connection.execute(text("INSERT INTO episode_heads VALUES (:p, :lane, :id, :ms, :ms, 1)"), head)
    upgrade(empty_url)
    (found,) = EpisodeReader(engine).page().items
    assert (found.episode_id, found.opened_ms, [a.alarm_id for a in found.alarms]) == ("e1", one.at_ms, [one.alarm_id])
    AlarmStore(engine).record([event(condition="heart_rate_low", patient="p-001", at_ms=one.at_ms + 1)])
    assert [len(e.alarms) for e in EpisodeReader(engine).page().items] == [2], "what comes next joins it"
    with writing(engine) as connection:
        command.downgrade(alembic_config(connection), "0005")
        assert len(connection.execute(text("SELECT * FROM episode_members WHERE episode_id = 'e1'")).all()) == 2
    engine.dispose()


def test_processes_that_start_at_once_all_find_the_schema(empty_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        pool.map(upgrade, [empty_url] * 4)
    engine = open_engine(empty_url)
    assert AlarmStore(engine).last_feed_seq() == 0
    engine.dispose()


def test_one_process_may_bring_several_databases_up_at_once(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path / str(number)}.db" for number in range(4)]
    with ThreadPoolExecutor(len(urls)) as threads:
        list(threads.map(upgrade, urls))
    for url in urls:
        engine = open_engine(url)
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
