"""Who looks after a patient: what begins later is theirs, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.alarms import Change, Priority, State
from contracts.errors import InvalidInput
from contracts.policy import Team
from infra.runtime.sql.alarms import AlarmStore, Recorded
from infra.runtime.sql.carers import Carer
from tests.infra.runtime.sql.events import ONSET_MS, event

AT_MS = ONSET_MS - 60_000
UNTIL_MS = ONSET_MS + 60_000


def carer(patient: str = "p-001", person: str = "Ann", **more: Any) -> Carer:
    known: dict[str, Any] = {"assigned_by": "Cara", "since_ms": AT_MS, "until_ms": UNTIL_MS} | more
    return Carer(patient=patient, person=person, **known)


def test_open_alarms_change_hands_at_once_and_a_repeat_changes_nothing(store: AlarmStore) -> None:
    mine, other = event(onset_ms=ONSET_MS - 600_000), event(patient="p-002")
    store.record([mine, other])
    (moved,) = store.look_after(carer())
    assert (moved.alarm_id, moved.change, moved.to, moved.actor) == (mine.alarm_id, Change.ASSIGNED, "Ann", "Cara")
    assert store.look_after(carer()) == []
    assert store.carers(AT_MS, after=None, limit=9) == [carer()]
    assert store.last_feed_seq() == 3


@pytest.mark.parametrize(
    ("at_ms", "theirs"),
    [(UNTIL_MS - 1, "Ann"), (UNTIL_MS, None)],
    ids=["a moment before the end", "at the end: the next shift has it"],
)
def test_an_alarm_that_begins_later_is_the_carer_s_until_the_end(
    store: AlarmStore, at_ms: int, theirs: str | None
) -> None:
    store.look_after(carer())
    raised = event(at_ms=at_ms)
    (first,), (again,) = store.record([raised]), store.record([raised])
    assert isinstance(first, Recorded)
    assert again == Recorded(event=first.event, repeated=True)
    assert [(e.change, e.to, e.state) for e in first.told[1:]] == (
        [] if theirs is None else [(Change.ASSIGNED, theirs, State.ACTIVE)]
    )
    found = store.get(raised.alarm_id)
    assert found is not None
    assert found.assigned_to == theirs
    feed = store.events_after(0)
    assert [e.feed_seq for e in feed] == list(range(1, len(feed) + 1))
    assert list(first.told) == feed


def test_what_the_stream_says_next_goes_on_as_before(store: AlarmStore) -> None:
    store.look_after(carer())
    store.record([event(), event(Change.WORSENED, priority=Priority.HIGH), event(Change.CLEARED)])
    found = store.get(event().alarm_id)
    assert found is not None
    assert (found.state, found.priority, found.assigned_to, found.version) == (State.LATCHED, Priority.HIGH, "Ann", 4)


def test_an_alarm_behind_another_is_nobody_s_until_it_calls(store: AlarmStore) -> None:
    store.look_after(carer())
    (held,) = store.record([event(Change.INHIBITED)])
    assert isinstance(held, Recorded)
    assert held.assigned == ()
    (released,) = store.record([event(Change.RELEASED)])
    assert isinstance(released, Recorded)
    assert [e.to for e in released.assigned] == ["Ann"]


def test_a_handover_takes_the_patients_too_of_the_team_alone(store: AlarmStore) -> None:
    for patient in ("p-001", "p-002", "p-003"):
        store.look_after(carer(patient, "Ann" if patient != "p-003" else "Cid"))
    team = Team(name="a", patients=frozenset({"p-001", "p-003"}))
    assert store.hand_over("Ann", "Ben", actor="Ann", at_ms=ONSET_MS, team=team) == []
    held = {c.patient: c.person for c in store.carers(ONSET_MS, after=None, limit=9)}
    assert held == {"p-001": "Ben", "p-002": "Ann", "p-003": "Cid"}
    (given,) = store.record([event()])
    assert isinstance(given, Recorded)
    assert [e.to for e in given.assigned] == ["Ben"]


def test_whoever_leaves_keeps_what_is_open_and_gets_nothing_new(store: AlarmStore) -> None:
    store.look_after(carer())
    store.record([event()])
    assert store.leave("p-001")
    assert not store.leave("p-001")
    store.record([event(condition="heart_rate_high")])
    found = {a.condition: a.assigned_to for a in store.open_alarms()}
    assert found == {"spo2_low": "Ann", "heart_rate_high": None}
    assert store.carers(AT_MS, after=None, limit=9) == []


def test_lists_come_in_pages_and_hold_the_team_s_patients(store: AlarmStore) -> None:
    for n in range(1, 5):
        store.look_after(carer(f"p-00{n}", until_ms=UNTIL_MS + n))
    first = store.carers(UNTIL_MS + 1, after=None, limit=2)
    assert [c.patient for c in first] == ["p-002", "p-003"]
    assert [c.patient for c in store.carers(UNTIL_MS + 1, after="p-003", limit=2)] == ["p-004"]
    team = Team(name="a", patients=frozenset({"p-003"}))
    assert [c.patient for c in store.carers(AT_MS, after=None, limit=9, team=team)] == ["p-003"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"person": ""}, "to"), ({"assigned_by": ""}, "actor"), ({"until_ms": AT_MS}, "hours")],
)
def test_a_wrong_request_is_named(store: AlarmStore, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        store.look_after(carer(**wrong))
    assert refused.value.field == field
