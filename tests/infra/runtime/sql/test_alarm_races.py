"""Several writers of the same alarms, and one that fails in the middle, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text
from sqlalchemy import event as hooks

from contracts.alarms import AlarmEvent, Change, Priority, State
from contracts.lifecycle import Refused
from infra.runtime.sql.alarms import AlarmStore, Recorded
from tests.infra.runtime.sql.events import NOW_MS, acted, event, recorded


def race(*actions: Callable[[], object]) -> list[object]:
    """Run the actions in threads that start together; their results, errors raised."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> object:
        barrier.wait(timeout=10)
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(run, action) for action in actions]]


def test_two_groups_that_record_the_same_write_it_once(store: AlarmStore) -> None:
    batches = [
        [event(patient=f"p-{i}"), event(Change.WORSENED, patient=f"p-{i}", priority=Priority.HIGH)] for i in range(40)
    ]

    def group() -> list[AlarmEvent]:
        results = [result for batch in batches for result in store.record(batch)]
        assert all(isinstance(result, Recorded) for result in results)
        return [result.event for result in results]

    one, two = race(group, group)
    assert one == two
    feed = store.events_after(0)
    assert [e.feed_seq for e in feed] == list(range(1, 81))
    assert {e.event_id for e in feed} == {e.event_id for batch in batches for e in batch}


def test_of_two_nurses_one_acknowledges(store: AlarmStore) -> None:
    for i in range(15):
        raised = event(patient=f"p-{i}")
        recorded(store, raised)

        def acknowledge(actor: str, identity: str = raised.alarm_id) -> object:
            return store.act(identity, Change.ACKNOWLEDGED, actor=actor, at_ms=NOW_MS)

        results = race(lambda: acknowledge("nurse.a"), lambda: acknowledge("nurse.b"))
        winners = [r for r in results if isinstance(r, AlarmEvent)]
        assert len(winners) == 1
        assert Refused(reason="the alarm is acknowledged already") in results
        alarm = store.get(raised.alarm_id)
        assert alarm is not None
        assert alarm.acknowledged_by == winners[0].actor


def test_acknowledge_and_clear_end_resolved_whoever_is_first(store: AlarmStore) -> None:
    for i in range(15):
        raised = event(patient=f"p-{i}", priority=Priority.HIGH)
        recorded(store, raised)
        cleared = event(Change.CLEARED, patient=f"p-{i}", priority=Priority.HIGH)

        def acknowledge(identity: str = raised.alarm_id) -> object:
            return store.act(identity, Change.ACKNOWLEDGED, actor="nurse.a", at_ms=NOW_MS)

        def clear(cleared: AlarmEvent = cleared) -> object:
            return store.record([cleared])

        race(acknowledge, clear)
        alarm = store.get(raised.alarm_id)
        assert alarm is not None
        assert alarm.state is State.RESOLVED
        assert [e.alarm_version for e in store.events(raised.alarm_id)] == [1, 2, 3]
    assert [e.feed_seq for e in store.events_after(0)] == list(range(1, 46))


def test_a_writer_that_knows_nothing_of_the_feed_is_noticed(engine: Engine, store: AlarmStore) -> None:
    """Somebody else changes the row between our read and our write: we look again, and decide on what is there."""
    raised = event(priority=Priority.HIGH)
    recorded(store, raised)
    attempts = []

    def meddle(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE alarms SET"):
            attempts.append(statement)
            if len(attempts) == 1:
                cursor.connection.cursor().execute("UPDATE alarms SET version = version + 1")  # type: ignore[attr-defined]

    hooks.listen(engine, "before_cursor_execute", meddle)
    acknowledged = acted(store, raised.alarm_id, Change.ACKNOWLEDGED)
    assert len(attempts) == 2
    assert acknowledged.state is State.ACKNOWLEDGED
    assert acknowledged.feed_seq == 2


def test_a_failure_in_the_middle_leaves_no_gap(engine: Engine, store: AlarmStore) -> None:
    raised = event()

    def fail(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO alarm_events"):
            raise RuntimeError("the process is in trouble")

    hooks.listen(engine, "before_cursor_execute", fail)
    with pytest.raises(RuntimeError):
        store.record([raised])
    hooks.remove(engine, "before_cursor_execute", fail)
    assert store.get(raised.alarm_id) is None
    (stored,) = recorded(store, raised)
    assert stored.feed_seq == 1
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM patients")).scalar_one() == 1
