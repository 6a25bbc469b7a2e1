"""What the alarm store makes of changes by the stream and by people, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import pytest

from contracts.alarms import AlarmEvent, Change, Priority, State
from contracts.episodes import episode_id
from contracts.errors import InvalidInput
from contracts.lifecycle import Refused
from infra.runtime.sql.alarms import AlarmStore, Conflict, Dropped, Recorded
from tests.infra.runtime.sql.events import NOW_MS, ONSET_MS, acted, event, recorded


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
