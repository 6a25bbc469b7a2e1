"""Alarms and their events read back: pages, counts and the feed, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import pytest

from contracts.alarms import Change, Priority, State
from contracts.errors import InvalidInput
from infra.runtime.sql.alarms import AlarmStore
from tests.infra.runtime.sql.events import ONSET_MS, acted, event, recorded


def test_pages_are_newest_first_and_do_not_shift(store: AlarmStore) -> None:
    # Alarms 3 and 4 were raised in the same millisecond.
    times = [10, 20, 30, 30, 40]
    alarms = [event(patient=f"p-{i}", onset_ms=ONSET_MS + t, at_ms=ONSET_MS + t) for i, t in enumerate(times)]
    recorded(store, *alarms)
    first = store.page(limit=2)
    recorded(store, event(patient="p-new", onset_ms=ONSET_MS + 99))
    seen = list(first.items)
    page = first
    while page.next:
        page = store.page(limit=2, cursor=page.next)
        seen += page.items
    assert [a.raised_ms - ONSET_MS for a in seen] == [40, 30, 30, 20, 10]
    assert len({a.alarm_id for a in seen}) == 5
    assert page.next is None


def test_pages_can_be_narrowed(store: AlarmStore) -> None:
    recorded(store, event(patient="p-1"), event(patient="p-2"), event(patient="p-2", condition="hr_high"))
    acted(store, event(patient="p-2").alarm_id, Change.ACKNOWLEDGED)
    acted(store, event(patient="p-1").alarm_id, Change.RESOLVED)
    assert {a.patient for a in store.page(states=[State.ACKNOWLEDGED]).items} == {"p-2"}
    assert len(store.page(patient="p-2").items) == 2
    assert store.page(patient="p-2", states=[State.RESOLVED]).items == ()
    assert store.page(states=[]).items == ()
    assert {a.condition for a in store.open_alarms()} == {"spo2_low", "hr_high"}


@pytest.mark.parametrize("cursor", ["", "x", "12", "12.", "1e3.a", "9" * 30 + ".a", ".", "٣.a"])
def test_a_strange_cursor_is_refused(store: AlarmStore, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        store.page(cursor=cursor)


def test_counts_are_of_unresolved_alarms(store: AlarmStore) -> None:
    recorded(
        store,
        event(patient="p-1"),
        event(patient="p-1", condition="hr_high", priority=Priority.HIGH),
        event(patient="p-1", condition="rr_low", priority=Priority.HIGH),
        event(patient="p-2", priority=Priority.LOW),
        event(patient="p-3"),
    )
    acted(store, event(patient="p-3").alarm_id, Change.RESOLVED)
    both = {
        "p-1": {Priority.LOW: 0, Priority.MEDIUM: 1, Priority.HIGH: 2},
        "p-2": {Priority.LOW: 1, Priority.MEDIUM: 0, Priority.HIGH: 0},
    }
    assert store.counts() == both
    assert store.counts(["p-2", "p-3"]) == {"p-2": both["p-2"]}
    assert store.counts([]) == {}


def test_the_feed_can_be_followed(store: AlarmStore) -> None:
    stored = recorded(store, *(event(patient=f"p-{i}") for i in range(7)))
    assert store.events_after(0, 3) == stored[:3]
    assert store.events_after(3) == stored[3:]
    assert store.events_after(7) == []


def test_a_storm_of_alarms_is_recorded_in_order(store: AlarmStore) -> None:
    storm = [event(patient=f"p-{i:04}") for i in range(1_234)]
    assert [e.feed_seq for e in recorded(store, *storm)] == list(range(1, 1_235))
    assert store.record([]) == []
