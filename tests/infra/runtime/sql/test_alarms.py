"""What the alarm store promises, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text
from sqlalchemy import event as hooks

from contracts.alarms import AlarmEvent, Change, Priority, State
from contracts.episodes import episode_id
from contracts.errors import InvalidInput
from contracts.lifecycle import Refused
from infra.runtime.sql.alarms import AlarmStore, Conflict, Dropped, Recorded
from tests.infra.runtime.sql.events import ONSET_MS, event

NOW_MS = ONSET_MS + 60_000


@pytest.fixture
def store(engine: Engine) -> AlarmStore:
    return AlarmStore(engine)


def recorded(store: AlarmStore, *events: AlarmEvent) -> list[AlarmEvent]:
    """Record `events`, all of which must be new."""
    results = store.record(events)
    assert all(isinstance(result, Recorded) and not result.repeated for result in results), results
    return [result.event for result in results]


def acted(store: AlarmStore, alarm: str, change: Change, **more: object) -> AlarmEvent:
    """Have a nurse do `change`, which must be allowed."""
    result = store.act(alarm, change, actor="nurse.a", at_ms=NOW_MS, **more)  # type: ignore[arg-type]
    assert isinstance(result, AlarmEvent), result
    return result


def test_a_raised_alarm_can_be_read_back_whole(store: AlarmStore) -> None:
    raised = event(patient="p-007")
    (stored,) = recorded(store, raised)
    episode = episode_id("p-007", raised.lane, raised.alarm_id)
    assert stored == raised.model_copy(update={"feed_seq": 1, "episode_id": episode})
    alarm = store.get(raised.alarm_id)
    assert alarm is not None
    assert (alarm.state, alarm.version, alarm.feed_seq, alarm.patient) == (State.ACTIVE, 1, 1, "p-007")
    assert alarm.reasons == raised.reasons
    assert (alarm.onset_ms, alarm.condition_ms, alarm.raised_ms) == (ONSET_MS, ONSET_MS + 10_000, ONSET_MS + 10_000)
    assert store.events(raised.alarm_id) == [stored]


def test_a_repeat_gives_what_was_stored(store: AlarmStore) -> None:
    raised, worsened = event(), event(Change.WORSENED, priority=Priority.HIGH)
    first = recorded(store, raised, worsened)
    again = store.record([raised, worsened, raised])
    assert [result.event for result in again] == [first[0], first[1], first[0]]
    assert all(isinstance(result, Recorded) and result.repeated for result in again)
    assert store.last_feed_seq() == 2


def test_a_repeat_inside_one_call_is_recorded_once(store: AlarmStore) -> None:
    first, second = store.record([event(), event()])
    assert isinstance(first, Recorded)
    assert isinstance(second, Recorded)
    assert (first.repeated, second.repeated) == (False, True)
    assert first.event == second.event
    assert store.last_feed_seq() == 1


# What happened before, what the stream reports now, and where that must lead.
CLEARED = [
    pytest.param(Priority.MEDIUM, None, State.RESOLVED, id="medium, unseen"),
    pytest.param(Priority.HIGH, None, State.LATCHED, id="high, unseen: waits for a person"),
    pytest.param(Priority.HIGH, Change.ACKNOWLEDGED, State.RESOLVED, id="high, acknowledged before"),
]


@pytest.mark.parametrize(("priority", "before", "state"), CLEARED)
def test_the_stored_state_decides_what_cleared_means(
    store: AlarmStore, priority: Priority, before: Change | None, state: State
) -> None:
    raised = event(priority=priority)
    recorded(store, raised)
    if before:
        acted(store, raised.alarm_id, before)
    (cleared,) = recorded(store, event(Change.CLEARED, priority=priority, at_ms=NOW_MS + 5))
    assert cleared.state is state
    alarm = store.get(raised.alarm_id)
    assert alarm is not None
    assert (alarm.state, alarm.version) == (state, cleared.alarm_version)
    assert alarm.cleared_ms == NOW_MS + 5
    assert alarm.resolved_ms == (NOW_MS + 5 if state is State.RESOLVED else None)


def test_worsening_breaks_an_acknowledgement_and_a_snooze(store: AlarmStore) -> None:
    raised = event()
    recorded(store, raised)
    acted(store, raised.alarm_id, Change.SNOOZED, until_ms=NOW_MS + 60_000, note="suctioning")
    acted(store, raised.alarm_id, Change.ACKNOWLEDGED)
    recorded(store, event(Change.WORSENED, priority=Priority.HIGH, text="***SpO2 78 < 80"))
    alarm = store.get(raised.alarm_id)
    assert alarm is not None
    assert (alarm.state, alarm.priority, alarm.text) == (State.ACTIVE, Priority.HIGH, "***SpO2 78 < 80")
    assert (alarm.acknowledged_by, alarm.acknowledged_ms, alarm.snoozed_until_ms) == (None, None, None)


def test_the_opposite_direction_ends_what_a_person_made_quiet(store: AlarmStore) -> None:
    """Who acknowledged a low heart rate has not seen a high one. The end of that quiet comes with the alarm, once."""
    low, snoozed = event(condition="heart_rate_low"), event(condition="heart_rate_low", onset_ms=ONSET_MS + 1)
    elsewhere = [event(condition="heart_rate_low", patient="p-2"), event(condition="spo2_low")]
    recorded(store, low, snoozed, *elsewhere)
    for one in (low, *elsewhere):
        acted(store, one.alarm_id, Change.ACKNOWLEDGED)
    acted(store, snoozed.alarm_id, Change.SNOOZED, note="turning", until_ms=NOW_MS + 60_000)
    high = event(condition="heart_rate_high", at_ms=NOW_MS + 7, cause="high")
    (first,) = store.record([high])
    assert isinstance(first, Recorded)
    assert {(e.alarm_id, e.change, e.state, e.note) for e in first.broke} == {
        (low.alarm_id, Change.BROKEN, State.ACTIVE, "heart_rate_high alarms"),
        (snoozed.alarm_id, Change.BROKEN, State.ACTIVE, "heart_rate_high alarms"),
    }
    (again,) = store.record([high])
    assert again == Recorded(event=first.event, repeated=True)
    assert {a.alarm_id for a in store.quiet_alarms()} == {one.alarm_id for one in elsewhere}
    # What is acknowledged after that stays so, until the other one worsens.
    acted(store, low.alarm_id, Change.ACKNOWLEDGED)
    worse = event(Change.WORSENED, condition="heart_rate_high", priority=Priority.HIGH)
    (result,) = store.record([worse])
    assert isinstance(result, Recorded)
    assert [e.alarm_id for e in result.broke] == [low.alarm_id]
    assert [e.feed_seq for e in store.events_after(0)] == list(range(1, store.last_feed_seq() + 1))


def test_a_refused_change_says_why_and_takes_no_number(store: AlarmStore) -> None:
    raised = event()
    results = store.record(
        [
            event(Change.CLEARED),  # before it was raised
            raised,
            event(cause="a second cause of the same episode"),
            event(Change.ACKNOWLEDGED),
            event(patient="p-002"),
        ]
    )
    assert [r.reason if isinstance(r, Dropped) else r.event.feed_seq for r in results] == [
        "there is no such alarm",
        1,
        "the alarm exists already",
        "acknowledged is a change that people make",
        2,
    ]
    acted(store, raised.alarm_id, Change.RESOLVED)
    (late,) = store.record([event(Change.CLEARED)])
    assert late == Dropped(event=event(Change.CLEARED), reason="the alarm is resolved")


def test_what_people_do_is_kept_with_their_name(store: AlarmStore) -> None:
    raised = event(priority=Priority.HIGH)
    recorded(store, raised)
    identity = raised.alarm_id
    acted(store, identity, Change.ASSIGNED, note="nurse.b")
    acted(store, identity, Change.SNOOZED, until_ms=NOW_MS + 1)
    acknowledged = acted(store, identity, Change.ACKNOWLEDGED, note="with the patient")
    acted(store, identity, Change.RESOLVED)
    acted(store, identity, Change.LABELLED, note="artefact")
    alarm = store.get(identity)
    assert alarm is not None
    assert (alarm.assigned_to, alarm.snoozed_until_ms, alarm.label) == ("nurse.b", NOW_MS + 1, "artefact")
    assert (alarm.acknowledged_by, alarm.acknowledged_ms, alarm.resolved_ms) == ("nurse.a", NOW_MS, NOW_MS)
    assert (alarm.state, alarm.version, alarm.feed_seq) == (State.RESOLVED, 6, 6)
    assert acknowledged.actor == "nurse.a"
    assert acknowledged.note == "with the patient"
    assert (acknowledged.priority, acknowledged.text) == (Priority.HIGH, raised.text)
    history = store.events(identity)
    assert [e.alarm_version for e in history] == [1, 2, 3, 4, 5, 6]
    assert len({e.event_id for e in history}) == 6


def test_a_person_is_told_when_the_alarm_moved_on(store: AlarmStore) -> None:
    raised = event()
    recorded(store, raised)
    refused = store.act("unknown", Change.ACKNOWLEDGED, actor="nurse.a", at_ms=NOW_MS)
    assert refused == Refused(reason="there is no such alarm")
    recorded(store, event(Change.WORSENED, priority=Priority.HIGH))
    stale = store.act(raised.alarm_id, Change.ACKNOWLEDGED, actor="nurse.a", at_ms=NOW_MS, expected_version=1)
    assert isinstance(stale, Conflict)
    assert (stale.kind, stale.version) == ("version", 2)
    acted(store, raised.alarm_id, Change.ACKNOWLEDGED, expected_version=2)
    again = store.act(raised.alarm_id, Change.ACKNOWLEDGED, actor="nurse.b", at_ms=NOW_MS)
    assert again == Refused(reason="the alarm is acknowledged already")
    missing = store.act("unknown", Change.ACKNOWLEDGED, actor="nurse.a", at_ms=NOW_MS, expected_version=1)
    assert isinstance(missing, Conflict)
    assert missing.version is None


def test_a_snooze_tried_again_a_moment_later_is_the_same_request(store: AlarmStore) -> None:
    raised = event()
    recorded(store, raised)

    def snooze(at_ms: int, minutes: int) -> object:
        return store.act(
            raised.alarm_id,
            Change.SNOOZED,
            actor="nurse.a",
            note="being turned",
            at_ms=at_ms,
            until_ms=at_ms + minutes * 60_000,
            idempotency_key="k1",
        )

    first = snooze(NOW_MS, 5)
    assert snooze(NOW_MS + 700, 5) == first
    assert isinstance(snooze(NOW_MS + 900, 10), Conflict), "another length is another request"


def test_a_retry_with_the_same_key_gives_the_first_answer(store: AlarmStore) -> None:
    raised = event()
    recorded(store, raised)
    first = acted(store, raised.alarm_id, Change.ACKNOWLEDGED, expected_version=1, idempotency_key="k1")
    again = store.act(
        raised.alarm_id,
        Change.ACKNOWLEDGED,
        actor="nurse.a",
        at_ms=NOW_MS + 9,
        expected_version=1,
        idempotency_key="k1",
    )
    assert again == first
    other = store.act(raised.alarm_id, Change.RESOLVED, actor="nurse.a", at_ms=NOW_MS, idempotency_key="k1")
    assert isinstance(other, Conflict)
    assert other.kind == "idempotency_key"
    # Another person's key is another key.
    closed = store.act(raised.alarm_id, Change.RESOLVED, actor="nurse.b", at_ms=NOW_MS, idempotency_key="k1")
    assert isinstance(closed, AlarmEvent)


BAD_REQUESTS = [
    pytest.param({"change": Change.RAISED}, "change", id="only the stream raises"),
    pytest.param({"change": Change.ACKNOWLEDGED, "actor": ""}, "actor", id="nobody"),
    pytest.param({"change": Change.SNOOZED}, "until", id="snoozed for ever"),
    pytest.param({"change": Change.SNOOZED, "until_ms": NOW_MS}, "until", id="snoozed for no time"),
    pytest.param({"change": Change.SNOOZED, "until_ms": NOW_MS + 1_800_001}, "until", id="snoozed too long"),
    pytest.param({"change": Change.ACKNOWLEDGED, "until_ms": NOW_MS + 3_600_001}, "until", id="acknowledged too long"),
    pytest.param({"change": Change.LAPSED}, "change", id="only time ends an acknowledgement"),
    pytest.param({"change": Change.NOTED}, "note", id="a note that says nothing"),
    pytest.param({"change": Change.ASSIGNED, "to": "b\x00"}, "to", id="a name that is no text"),
    pytest.param({"change": Change.ASSIGNED}, "to", id="assigned to nobody"),
    pytest.param({"change": Change.LABELLED, "note": "odd"}, "label", id="unknown label"),
    pytest.param({"change": Change.RESOLVED, "note": "a\x00b"}, "note", id="note that is no text"),
    pytest.param({"change": Change.RESOLVED, "note": "x" * 2001}, "note", id="note too long"),
]


@pytest.mark.parametrize(("request_", "field"), BAD_REQUESTS)
def test_a_wrong_request_names_the_field(store: AlarmStore, request_: dict[str, object], field: str) -> None:
    raised = event()
    recorded(store, raised)
    with pytest.raises(InvalidInput) as caught:
        store.act(raised.alarm_id, **{"actor": "nurse.a", "at_ms": NOW_MS, **request_})  # type: ignore[arg-type]
    assert caught.value.field == field
    assert store.last_feed_seq() == 1


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
