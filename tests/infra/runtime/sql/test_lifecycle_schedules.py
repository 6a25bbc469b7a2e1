"""Whatever the order in which two alerting groups and people get to an alarm: no illegal step, no gap, no double."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from contracts.alarms import AlarmEvent, Change, Priority, State
from contracts.lifecycle import Moved, Refused, transition
from infra.runtime.sql.alarms import AlarmStore, Dropped, Recorded
from infra.runtime.sql.engine import writing
from tests.infra.runtime.sql.events import ONSET_MS, event

PATIENTS = ("p-1", "p-2")
PRIORITIES = {"p-1": Priority.HIGH, "p-2": Priority.MEDIUM}
LIFE = (Change.RAISED, Change.WORSENED, Change.CLEARED)

# A group tells the life of each patient's alarm in order, but may start again from any point, as after a crash.
group_step = st.tuples(st.just("group"), st.sampled_from(PATIENTS), st.integers(0, 2), st.integers(1, 3))
person_step = st.tuples(
    st.just("person"),
    st.sampled_from(PATIENTS),
    st.sampled_from([Change.ACKNOWLEDGED, Change.RESOLVED, Change.SNOOZED, Change.ASSIGNED, Change.LABELLED]),
    st.one_of(st.none(), st.integers(0, 5)),
)


@pytest.fixture
def store(engine: Engine) -> AlarmStore:
    return AlarmStore(engine)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedule=st.lists(st.one_of(group_step, person_step), max_size=14))
def test_any_schedule_is_legal_gap_free_and_recorded_once(
    engine: Engine, store: AlarmStore, schedule: list[tuple[str, str, object, object]]
) -> None:
    with writing(engine) as connection:
        for table in ("idempotency_keys", "alarm_events", "alarms"):
            connection.execute(text(f"DELETE FROM {table}"))
        connection.execute(text("UPDATE feed SET last_seq = 0"))
    answers: dict[str, AlarmEvent] = {}
    for kind, patient, what, more in schedule:
        if kind == "group":
            assert isinstance(what, int)
            assert isinstance(more, int)
            events = [event(c, patient=patient, priority=PRIORITIES[patient]) for c in LIFE[what : what + more]]
            for result in store.record(events):
                if isinstance(result, Recorded):
                    first = answers.setdefault(result.event.event_id, result.event)
                    assert first == result.event
                else:
                    assert isinstance(result, Dropped)
                    assert result.reason
        else:
            assert isinstance(what, Change)
            alarm = event(patient=patient)
            before = store.get(alarm.alarm_id)
            note = {Change.ASSIGNED: "nurse.b", Change.LABELLED: "actionable"}.get(what)
            done = store.act(
                alarm.alarm_id, what, actor="nurse.a", at_ms=ONSET_MS, until_ms=ONSET_MS + 1, note=note,
                expected_version=more,  # type: ignore[arg-type]
            )  # fmt: skip
            if isinstance(done, AlarmEvent):
                assert before is not None
                assert more in (None, before.version)
                assert transition(before.state, before.priority, what) == Moved(state=done.state)
            elif isinstance(done, Refused) and before is not None:
                assert transition(before.state, before.priority, what) == done

    feed = store.events_after(0)
    assert [e.feed_seq for e in feed] == list(range(1, len(feed) + 1))
    assert store.last_feed_seq() == len(feed)
    assert len({e.event_id for e in feed}) == len(feed)
    for patient in PATIENTS:
        history = [e for e in feed if e.patient == patient]
        assert history == store.events(event(patient=patient).alarm_id)
        state: State | None = None
        for version, change in enumerate(history, start=1):
            moved = transition(state, PRIORITIES[patient], change.change)
            assert moved == Moved(state=change.state)
            assert change.alarm_version == version
            state = change.state
        stored = store.get(event(patient=patient).alarm_id)
        assert (stored.state if stored else None) is state
        assert (stored.version if stored else 0) == len(history)
        assert (stored.feed_seq if stored else None) == (history[-1].feed_seq if history else None)
