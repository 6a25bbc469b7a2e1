"""What one did a moment ago can be taken back, on SQLite and PostgreSQL alike: by a further change, never by removal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from contracts.alarms import AlarmEvent, Change, Priority, State
from contracts.lifecycle import Refused
from contracts.quiet import MINUTE_MS, UNDO_S, UNDO_WAY_S
from infra.runtime.sql.alarms import Alarm, AlarmStore, Conflict
from infra.runtime.sql.episodes import rebuilt
from tests.infra.runtime.sql.events import ONSET_MS, event

NOW_MS = ONSET_MS + 60_000
SNOOZE = {"note": "care", "until_ms": NOW_MS + 5 * MINUTE_MS}


@pytest.fixture
def store(engine: Engine) -> AlarmStore:
    return AlarmStore(engine)


def raised(store: AlarmStore, priority: Priority = Priority.MEDIUM) -> str:
    (result,) = store.record([event(priority=priority)])
    return result.event.alarm_id


def did(store: AlarmStore, alarm: str, change: Change, actor: str = "Ann", **more: Any) -> None:
    assert isinstance(store.act(alarm, change, actor=actor, at_ms=NOW_MS, **more), AlarmEvent)


def worsened(store: AlarmStore, alarm: str) -> None:
    did(store, alarm, Change.ACKNOWLEDGED)
    store.record([event(Change.WORSENED)])


def undone(store: AlarmStore, alarm: str, actor: str = "Ann", after_ms: int = 5_000) -> AlarmEvent | Refused | Conflict:
    return store.take_back(alarm, actor=actor, at_ms=NOW_MS + after_ms)


def facts(alarm: Alarm | None) -> tuple[object, ...]:
    assert alarm is not None
    return (
        alarm.state,
        alarm.acknowledged_by,
        alarm.first_acknowledged_ms,
        alarm.snoozed_until_ms,
        alarm.assigned_to,
        alarm.label,
    )


# What was done before, what is taken back, and with which change of the life cycle.
TAKEN = [
    pytest.param((), (Change.ACKNOWLEDGED, {}), Change.LAPSED, id="an acknowledgement"),
    pytest.param((), (Change.SNOOZED, SNOOZE), Change.RESUMED, id="a snooze"),
    pytest.param(
        ((Change.ACKNOWLEDGED, {}),), (Change.SNOOZED, SNOOZE), Change.RESUMED, id="a snooze of what is acknowledged"
    ),
    pytest.param(
        ((Change.SNOOZED, SNOOZE),), (Change.ACKNOWLEDGED, {}), Change.LAPSED, id="an acknowledgement in a snooze"
    ),
    pytest.param((), (Change.ASSIGNED, {"to": "Ben"}), Change.ASSIGNED, id="assigned: nobody's again"),
    pytest.param(
        ((Change.ASSIGNED, {"to": "Cid"}),), (Change.ASSIGNED, {"to": "Ben"}), Change.ASSIGNED, id="Cid's again"
    ),
    pytest.param((), (Change.LABELLED, {"note": "artefact"}), Change.LABELLED, id="a label: none again"),
    pytest.param(
        ((Change.LABELLED, {"note": "actionable"}),),
        (Change.LABELLED, {"note": "artefact"}),
        Change.LABELLED,
        id="as it was",
    ),
]


@pytest.mark.parametrize(("before", "act", "change"), TAKEN)
def test_an_alarm_is_as_it_was_and_both_changes_stay(
    store: AlarmStore,
    before: tuple[tuple[Change, dict[str, Any]], ...],
    act: tuple[Change, dict[str, Any]],
    change: Change,
) -> None:
    alarm = raised(store)
    for what, more in before:
        did(store, alarm, what, "Cid", **more)
    was = facts(store.get(alarm))
    did(store, alarm, act[0], **act[1])
    assert facts(store.get(alarm)) != was
    answer = undone(store, alarm)
    assert isinstance(answer, AlarmEvent), answer
    assert (answer.change, answer.actor) == (change, "Ann")
    assert change is Change.LABELLED or answer.note == "taken back"
    assert facts(store.get(alarm)) == was
    events = store.events(alarm)
    assert [e.change for e in events][-2:] == [act[0], change]
    assert rebuilt(events) == store.get(alarm), "its events tell it"
    assert isinstance(undone(store, alarm, "Ben"), Refused)


REFUSED: list[tuple[str, Callable[[AlarmStore, str], object], str, int, str]] = [
    ("somebody else's", lambda s, a: did(s, a, Change.ACKNOWLEDGED), "Ben", 0, "not yours"),
    ("the stream's", lambda s, a: None, "Ann", 0, "not yours"),
    (
        "too late",
        lambda s, a: did(s, a, Change.ACKNOWLEDGED),
        "Ann",
        (UNDO_S + UNDO_WAY_S) * 1000 + 1,
        "more than 10 s ago",
    ),
    ("ended", lambda s, a: did(s, a, Change.RESOLVED), "Ann", 0, "cannot be taken back"),
    ("help was called", lambda s, a: did(s, a, Change.ESCALATED), "Ann", 0, "cannot be taken back"),
    ("written down", lambda s, a: did(s, a, Change.NOTED, note="seen"), "Ann", 0, "cannot be taken back"),
    (
        "worse since",
        worsened,
        "Ann",
        0,
        "not yours",
    ),
]


@pytest.mark.parametrize(("do", "actor", "after_ms", "why"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_only_ones_own_newest_and_only_for_a_moment(
    store: AlarmStore, do: Callable[[AlarmStore, str], object], actor: str, after_ms: int, why: str
) -> None:
    alarm = raised(store)
    do(store, alarm)
    before = store.events(alarm)
    answer = undone(store, alarm, actor, after_ms)
    assert isinstance(answer, Refused)
    assert why in answer.reason
    assert store.events(alarm) == before, "nothing was written"


def test_an_acknowledgement_that_ended_the_alarm_stays(store: AlarmStore) -> None:
    alarm = raised(store, Priority.HIGH)
    store.record([event(Change.CLEARED, priority=Priority.HIGH, at_ms=NOW_MS - 1)])
    did(store, alarm, Change.ACKNOWLEDGED)
    found = store.get(alarm)
    assert found is not None
    assert found.state is State.RESOLVED
    assert isinstance(undone(store, alarm), Refused)


def test_it_is_taken_back_once_for_a_key_and_only_as_one_saw_it(store: AlarmStore) -> None:
    alarm = raised(store)
    did(store, alarm, Change.ACKNOWLEDGED)
    stale = store.take_back(alarm, actor="Ann", at_ms=NOW_MS, expected_version=1)
    assert isinstance(stale, Conflict)
    first = store.take_back(alarm, actor="Ann", at_ms=NOW_MS, expected_version=2, idempotency_key="k")
    assert store.take_back(alarm, actor="Ann", at_ms=NOW_MS + 1, expected_version=2, idempotency_key="k") == first
    assert isinstance(store.take_back("none", actor="Ann", at_ms=NOW_MS), Refused)
