"""Whatever the order in which alerting groups, people and timers of two nodes get to an alarm: no illegal step, no gap, no
double, nothing lost, one winner, nothing quiet beyond its time, and a past that can be rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

import pytest
from sqlalchemy import Engine, text

from contracts.alarms import Change, Priority
from contracts.quiet import MINUTE_MS, QuietTimes
from infra.runtime.sql.alarms import AlarmStore, QuietEnd
from infra.runtime.sql.engine import open_engine, writing
from infra.runtime.sql.people_time import Deadlines
from tests.faults.harness.rows import record, size
from tests.infra.runtime.sql.events import ONSET_MS, event
from tests.infra.runtime.sql.lifecycle_machine import Seen, run

NOW_MS = ONSET_MS + 60_000
HOUR_MS = 60 * MINUTE_MS


@pytest.fixture
def nodes(sql_url: str) -> Iterator[list[AlarmStore]]:
    """Two API nodes on one database, each with connections of its own."""
    engines = [open_engine(sql_url), open_engine(sql_url)]
    yield [AlarmStore(engine) for engine in engines]
    for engine in engines:
        engine.dispose()


@pytest.fixture
def forget(engine: Engine) -> Callable[[], None]:
    """Removes every alarm; the numbers of the feed go on."""

    def delete() -> None:
        with writing(engine) as connection:
            for table in ("carers", "idempotency_keys", "alarm_events", "episodes", "episode_heads", "alarms"):
                connection.execute(text(f"DELETE FROM {table}"))

    return delete


def test_any_schedule_is_legal_gap_free_and_recorded_once(nodes: list[AlarmStore], forget: Callable[[], None]) -> None:
    run(nodes, forget, schedules=25, steps=40)


@pytest.mark.faults
def test_t39_ten_thousand_schedules_on_two_racing_nodes(
    nodes: list[AlarmStore], forget: Callable[[], None], engine: Engine
) -> None:
    """In parts of a thousand, drawn anew each time, until there are as many as the row asks for."""
    wanted, seen, failures = size(10_000, 500), Seen(), 0
    try:
        while seen.schedules < wanted:
            run(nodes, forget, schedules=min(1_000, wanted - seen.schedules), steps=20, seen=seen)
    except AssertionError:
        failures = 1
        raise
    finally:
        record(
            f"T-39 {engine.dialect.name}", met=not failures and seen.schedules >= wanted, **asdict(seen), illegal=failures,
            bar="illegal transitions 0, one winner, no gap, nothing lost in 10,000 schedules",
        )  # fmt: skip


def test_what_is_quiet_comes_back_by_itself_once(nodes: list[AlarmStore]) -> None:
    """Both nodes see that the time is over; one of them says so. A process that is killed loses nothing: the end is in SQL."""
    raised = event(priority=Priority.HIGH)
    nodes[0].record([raised])
    nodes[0].act(raised.alarm_id, Change.SNOOZED, actor="ann", at_ms=NOW_MS, note="suction", until_ms=NOW_MS + MINUTE_MS)
    nodes[1].act(raised.alarm_id, Change.ACKNOWLEDGED, actor="ben", at_ms=NOW_MS)
    found: list[Change] = []
    for minutes in (0, 1, 1, 14, 15, 16):
        at_ms = NOW_MS + minutes * MINUTE_MS
        for node in nodes:
            due = Deadlines(QuietTimes()).due(node.quiet_alarms(), now_ms=at_ms, now_s=0.0)  # started this moment
            found += [e.change for e in node.end_quiet(due, at_ms=at_ms)]
    assert found == [Change.RESUMED, Change.LAPSED]
    alarm = nodes[0].get(raised.alarm_id)
    assert alarm is not None
    assert (alarm.acknowledged_by, alarm.snoozed_until_ms, alarm.snoozed_by) == (None, None, None)
    assert alarm.first_acknowledged_ms == NOW_MS


def test_the_end_of_an_earlier_quiet_time_is_not_that_of_a_later_one(nodes: list[AlarmStore]) -> None:
    raised = event(priority=Priority.HIGH)
    nodes[0].record([raised])

    def acknowledge(at_ms: int) -> None:
        nodes[0].act(raised.alarm_id, Change.ACKNOWLEDGED, actor="ann", at_ms=at_ms)

    acknowledge(NOW_MS)
    stale = QuietEnd(alarm_id=raised.alarm_id, change=Change.LAPSED, until_ms=NOW_MS + 15 * MINUTE_MS)
    assert nodes[0].end_quiet([stale], at_ms=NOW_MS + 15 * MINUTE_MS)
    acknowledge(NOW_MS + 16 * MINUTE_MS)
    assert nodes[1].end_quiet([stale], at_ms=NOW_MS + 16 * MINUTE_MS) == []


@pytest.mark.parametrize("jump_ms", [-24 * HOUR_MS, -5 * MINUTE_MS, 0, 24 * HOUR_MS])
def test_a_clock_that_jumps_keeps_nothing_quiet_for_longer(nodes: list[AlarmStore], jump_ms: int) -> None:
    raised = event(priority=Priority.HIGH)
    nodes[0].record([raised])
    nodes[0].act(raised.alarm_id, Change.ACKNOWLEDGED, actor="ann", at_ms=NOW_MS)
    quiet = nodes[0].quiet_alarms()
    running, started_after = Deadlines(QuietTimes()), Deadlines(QuietTimes())
    assert running.due(quiet, now_ms=NOW_MS, now_s=100.0) == []
    # The wall clock is set anew; the monotonic one goes on.
    assert running.due(quiet, now_ms=NOW_MS + 5 * MINUTE_MS + jump_ms, now_s=100.0 + 299) == []
    assert len(running.due(quiet, now_ms=NOW_MS + 15 * MINUTE_MS + jump_ms, now_s=100.0 + 900)) == 1
    # A process that starts on the wrong clock grants at most the whole time once more.
    started_after.due(quiet, now_ms=NOW_MS + jump_ms, now_s=0.0)
    assert len(started_after.due(quiet, now_ms=NOW_MS + jump_ms, now_s=900.0)) == 1
