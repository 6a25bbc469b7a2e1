"""Ids are functions of their cause; the life cycle allows exactly what it should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.alarms import OPEN, Change, Priority, State, alarm_id, digest
from contracts.errors import InvalidInput
from contracts.lifecycle import Moved, Refused, transition
from contracts.ticks import Tick, decode_tick, encode_tick


def test_an_alarms_id_is_its_patient_condition_and_onset() -> None:
    assert alarm_id("p-1", "spo2_low", 5) == alarm_id("p-1", "spo2_low", 5)
    assert len({alarm_id("p-1", "spo2_low", 5), alarm_id("p-2", "spo2_low", 5), alarm_id("p-1", "spo2_low", 6)}) == 3


def test_parts_of_an_id_do_not_run_together() -> None:
    assert digest("ab", "c") != digest("a", "bc")


@pytest.mark.parametrize(
    ("state", "priority", "change", "expected"),
    [
        (None, Priority.HIGH, Change.RAISED, State.ACTIVE),
        (State.ACTIVE, Priority.MEDIUM, Change.ACKNOWLEDGED, State.ACKNOWLEDGED),
        (State.ACTIVE, Priority.MEDIUM, Change.CLEARED, State.RESOLVED),
        (State.ACTIVE, Priority.HIGH, Change.CLEARED, State.LATCHED),  # ended unseen: stays until someone looks
        (State.LATCHED, Priority.HIGH, Change.ACKNOWLEDGED, State.RESOLVED),
        (State.ACKNOWLEDGED, Priority.HIGH, Change.CLEARED, State.RESOLVED),
        (State.ACKNOWLEDGED, Priority.HIGH, Change.WORSENED, State.ACTIVE),  # worsening breaks an acknowledgement
        (State.LATCHED, Priority.HIGH, Change.WORSENED, State.ACTIVE),
        (State.ACTIVE, Priority.LOW, Change.RESOLVED, State.RESOLVED),
        (State.ACTIVE, Priority.HIGH, Change.ASSIGNED, State.ACTIVE),
        (State.ACTIVE, Priority.HIGH, Change.SNOOZED, State.ACTIVE),
        (State.RESOLVED, Priority.LOW, Change.LABELLED, State.RESOLVED),  # labels come after the fact
        (None, Priority.MEDIUM, Change.INHIBITED, State.INHIBITED),
        (State.INHIBITED, Priority.MEDIUM, Change.RELEASED, State.ACTIVE),
        (State.INHIBITED, Priority.HIGH, Change.CLEARED, State.RESOLVED),  # nobody saw it: nothing to latch
        (None, Priority.HIGH, Change.FOUND, State.RETROSPECTIVE),
        (State.RETROSPECTIVE, Priority.HIGH, Change.WORSENED, State.RETROSPECTIVE),
        (State.RETROSPECTIVE, Priority.HIGH, Change.CLEARED, State.RETROSPECTIVE),
        (State.RETROSPECTIVE, Priority.HIGH, Change.LABELLED, State.RETROSPECTIVE),
    ],
)
def test_legal(state: State | None, priority: Priority, change: Change, expected: State) -> None:
    assert transition(state, priority, change) == Moved(state=expected)


@pytest.mark.parametrize(
    ("state", "change"),
    [
        (None, Change.ACKNOWLEDGED),
        (None, Change.CLEARED),
        (State.ACTIVE, Change.RAISED),
        (State.ACKNOWLEDGED, Change.ACKNOWLEDGED),
        (State.LATCHED, Change.CLEARED),
        (State.RESOLVED, Change.ACKNOWLEDGED),
        (State.RESOLVED, Change.WORSENED),
        (State.RESOLVED, Change.CLEARED),
        (None, Change.RELEASED),
        (State.ACTIVE, Change.RELEASED),
        (State.ACTIVE, Change.INHIBITED),
        (State.INHIBITED, Change.ACKNOWLEDGED),
        (State.INHIBITED, Change.RESOLVED),
        (State.RETROSPECTIVE, Change.ACKNOWLEDGED),
        (State.RETROSPECTIVE, Change.RELEASED),
        (State.RETROSPECTIVE, Change.RAISED),
    ],
)
def test_refused_with_a_reason(state: State | None, change: Change) -> None:
    outcome = transition(state, Priority.HIGH, change)
    assert isinstance(outcome, Refused)
    assert outcome.reason


@given(st.sampled_from(Priority), st.lists(st.sampled_from(Change), max_size=20))
def test_a_resolved_alarm_never_comes_back(priority: Priority, changes: list[Change]) -> None:
    state: State | None = None
    for change in changes:
        outcome = transition(state, priority, change)
        if isinstance(outcome, Moved):
            assert state is not State.RESOLVED or outcome.state is State.RESOLVED
            state = outcome.state


@given(st.sampled_from(Priority), st.lists(st.sampled_from(Change), max_size=20))
def test_a_finding_never_calls_anybody(priority: Priority, changes: list[Change]) -> None:
    state: State | None = None
    for change in (Change.FOUND, *changes):
        outcome = transition(state, priority, change)
        if isinstance(outcome, Moved):
            state = outcome.state
        assert state is State.RETROSPECTIVE
        assert state not in OPEN


@given(st.integers(946_684_800_000, 4_102_444_799_999), st.integers(0, 10**9))
def test_a_tick_comes_back_as_it_went(tick_ms: int, version: int) -> None:
    tick = Tick(tick_ms=tick_ms, config_version=version)
    assert decode_tick(encode_tick(tick)) == tick


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b"[]", b"5", b'{"tick_ms":1,"config_version":0}', b'{"tick_ms":true,"config_version":0}',
     b'{"tick_ms":1772359200000,"config_version":-1}', b'{"tick_ms":"1772359200000","config_version":0}',
     b'{"tick_ms":1772359200000.0,"config_version":0}', b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_tick_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_tick(payload)
