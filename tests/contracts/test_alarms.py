"""Ids are functions of their cause; the life cycle allows exactly what it should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.alarms import OPEN, Change, Priority, State, alarm_id, digest
from contracts.errors import InvalidInput
from contracts.lifecycle import Moved, Refused, transition
from contracts.quiet import QuietTimes
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
        (State.PENDING, Priority.HIGH, Change.RAISED, State.ACTIVE),  # its onset delay has run
        (State.ACKNOWLEDGED, Priority.HIGH, Change.LAPSED, State.ACTIVE),  # nobody is silent for ever
        (State.ACKNOWLEDGED, Priority.LOW, Change.BROKEN, State.ACTIVE),  # the metric alarms the other way now
        (State.ACTIVE, Priority.LOW, Change.BROKEN, State.ACTIVE),  # a snooze ends, the state is the same
        (State.LATCHED, Priority.HIGH, Change.RESUMED, State.LATCHED),
        (State.ACKNOWLEDGED, Priority.HIGH, Change.HANDED_OVER, State.ACKNOWLEDGED),
        (State.ACTIVE, Priority.LOW, Change.ESCALATED, State.ACTIVE),
        (State.ACKNOWLEDGED, Priority.LOW, Change.ESCALATED, State.ACTIVE),  # seen, and help is needed
        (State.RESOLVED, Priority.HIGH, Change.CLOSED, State.CLOSED),
        (State.RETROSPECTIVE, Priority.HIGH, Change.CLOSED, State.CLOSED),
        (State.CLOSED, Priority.HIGH, Change.LABELLED, State.CLOSED),
        (State.INHIBITED, Priority.HIGH, Change.NOTED, State.INHIBITED),
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
        (State.PENDING, Change.ACKNOWLEDGED),
        (State.ACTIVE, Change.LAPSED),
        (State.LATCHED, Change.LAPSED),
        (State.LATCHED, Change.ESCALATED),
        (State.INHIBITED, Change.ESCALATED),
        (State.ACTIVE, Change.CLOSED),
        (State.INHIBITED, Change.CLOSED),
        (State.RESOLVED, Change.RESUMED),
        (State.RESOLVED, Change.ASSIGNED),
        (State.CLOSED, Change.CLOSED),
        (State.CLOSED, Change.WORSENED),
    ],
)
def test_refused_with_a_reason(state: State | None, change: Change) -> None:
    outcome = transition(state, Priority.HIGH, change)
    assert isinstance(outcome, Refused)
    assert outcome.reason


OVER = (State.RESOLVED, State.CLOSED)


@given(st.sampled_from(Priority), st.lists(st.sampled_from(Change), max_size=20))
def test_a_resolved_alarm_never_comes_back(priority: Priority, changes: list[Change]) -> None:
    state: State | None = None
    for change in changes:
        outcome = transition(state, priority, change)
        if isinstance(outcome, Moved):
            assert state not in OVER or outcome.state in OVER
            assert state is not State.CLOSED or outcome.state is State.CLOSED
            state = outcome.state


@given(st.sampled_from(Priority), st.lists(st.sampled_from(Change), max_size=20))
def test_a_finding_never_calls_anybody(priority: Priority, changes: list[Change]) -> None:
    state: State | None = None
    for change in (Change.FOUND, *changes):
        outcome = transition(state, priority, change)
        if isinstance(outcome, Moved):
            state = outcome.state
        assert state in (State.RETROSPECTIVE, State.CLOSED)
        assert state not in OPEN


QUIET_FOR_GOOD = [
    ({"high": 61}, {}, "acknowledge_minutes"),
    ({}, {"high": 0}, "snooze_minutes"),
    ({"low": 721}, {}, "acknowledge_minutes"),
    ({}, {"urgent": 5}, "snooze_minutes"),
]


@pytest.mark.parametrize(("acknowledge", "snooze", "field"), QUIET_FOR_GOOD)
def test_no_site_can_silence_an_alarm_for_good(acknowledge: dict[str, int], snooze: dict[str, int], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        QuietTimes.of(acknowledge, snooze)
    assert caught.value.field == field


def test_a_site_sets_its_own_times_and_keeps_the_others() -> None:
    quiet = QuietTimes.of({"high": 5}, {})
    assert (quiet.acknowledge_ms(Priority.HIGH), quiet.acknowledge_ms(Priority.MEDIUM)) == (300_000, 3_600_000)


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
