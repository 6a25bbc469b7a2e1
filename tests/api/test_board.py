"""The board: each change is shown once, and once more when recorded; alarms never go back."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from api.board import Board, FeedCursor, folded
from api.schema import Alarm
from api.ward import Counts
from contracts.alarms import AlarmEvent, Change, Priority, Reason, State
from contracts.groups import GROUPS
from tests.api.builders import NOW_MS, event


def history() -> list[AlarmEvent]:
    """A high alarm: raised, acknowledged, worsened, ended unseen, acknowledged again."""
    high = {"priority": Priority.HIGH}
    return [
        event(version=1, feed_seq=11),
        event(change=Change.ACKNOWLEDGED, state=State.ACKNOWLEDGED, version=2, feed_seq=12, actor="A", at_ms=NOW_MS + 1000),
        event(change=Change.WORSENED, version=3, feed_seq=13, at_ms=NOW_MS + 2000, **high),  # type: ignore[arg-type]
        event(change=Change.CLEARED, state=State.LATCHED, version=4, feed_seq=14, at_ms=NOW_MS + 3000, **high),  # type: ignore[arg-type]
        event(change=Change.ACKNOWLEDGED, state=State.RESOLVED, version=5, feed_seq=15, actor="B", at_ms=NOW_MS + 4000, **high),  # type: ignore[arg-type]
    ]  # fmt: skip


def test_an_alarm_through_its_life() -> None:
    board = Board()
    board.feed.jump(10)
    seen = [board.fold(e) for e in history()]
    states = [(s.alarm.state.value, s.alarm.acknowledged_by, s.feed_seq) for s in seen if s is not None]
    assert states == [
        ("active", None, 11),
        ("acknowledged", "A", 12),
        ("active", None, 13),  # worsening breaks the acknowledgement
        ("latched", None, 14),
        ("resolved", "B", 15),
    ]
    last = seen[-1]
    assert last is not None
    assert last.alarm.raised == "2026-03-01T10:00:00.000Z"
    assert last.alarm.cleared == "2026-03-01T10:00:03.000Z"
    assert last.alarm.resolved == last.alarm.acknowledged_at == "2026-03-01T10:00:04.000Z"
    assert board.open_alarms() == []
    assert board.counts("p-001") == Counts()
    assert board.feed.seen == 15
    assert not board.incomplete


def test_an_event_that_comes_by_two_ways_is_shown_once() -> None:
    board = Board()
    for e in history():
        assert board.fold(e) is not None
        assert board.fold(e) is None


def test_an_unrecorded_event_is_shown_at_once_and_again_when_recorded() -> None:
    board = Board()
    first = board.fold(event(feed_seq=None))
    assert first is not None
    assert (first.recorded, first.feed_seq, board.unrecorded) == (False, None, 1)
    assert board.fold(event(feed_seq=None)) is None
    again = board.fold(event(feed_seq=7))
    assert again is not None
    assert (again.recorded, again.alarm.feed_seq, board.unrecorded) == (True, 7, 0)
    assert board.fold(event(feed_seq=None)) is None, "the unrecorded one, delivered late"


def test_recording_an_earlier_change_does_not_turn_the_alarm_back() -> None:
    board = Board()
    board.fold(event(version=1))
    board.fold(event(change=Change.CLEARED, state=State.RESOLVED, version=2))
    shown = board.fold(event(version=1, feed_seq=1))
    assert shown is not None
    assert (shown.change, shown.alarm.state, shown.alarm.version) == (Change.RAISED, State.RESOLVED, 2)


def test_counts_are_of_open_alarms_by_priority() -> None:
    board = Board()
    board.fold(event(condition="a", priority=Priority.HIGH))
    board.fold(event(condition="b", priority=Priority.MEDIUM))
    board.fold(event(condition="c", priority=Priority.MEDIUM))
    board.fold(event(condition="c", priority=Priority.MEDIUM, change=Change.CLEARED, state=State.RESOLVED, version=2))
    assert board.counts("p-001") == Counts(high=1, medium=1, low=0)
    assert board.counts("p-002") == Counts()


def test_an_alarm_whose_beginning_was_missed_is_completed_from_sql() -> None:
    board = Board()
    begun, acknowledged = history()[:2]
    shown = board.fold(acknowledged)
    assert shown is not None
    assert shown.alarm.raised is None
    assert board.incomplete == {begun.alarm_id: Change.ACKNOWLEDGED}
    whole = folded(folded(None, begun), acknowledged)
    again = board.complete(whole)
    assert again is not None
    assert (again.alarm, again.change) == (whole, Change.ACKNOWLEDGED)
    assert board.complete(whole) is None


def test_loading_forgets_what_was_resolved_meanwhile_and_keeps_what_is_newer() -> None:
    board = Board()
    for condition, feed_seq in (("old", 5), ("new", 9), ("unrecorded", None), ("open", 6)):
        board.fold(event(condition=condition, feed_seq=feed_seq))
    board.load(
        [folded(None, event(condition="open", feed_seq=6)), folded(None, event(condition="more", feed_seq=7))], 8
    )
    assert {a.condition for a in board.open_alarms()} == {"new", "unrecorded", "open", "more"}
    assert board.feed.seen == 9


def test_the_frame_is_the_alarm_of_the_rest_api() -> None:
    shown = Board().fold(event(feed_seq=3))
    assert shown is not None
    frame = json.loads("{" + shown.members() + "}")
    assert Alarm.model_validate(frame["alarm"]) == shown.alarm
    assert (frame["change"], frame["feed_seq"], frame["recorded"]) == ("raised", 3, True)


@given(order=st.permutations(range(1, 12)), start=st.integers(0, 5))
def test_the_feed_is_known_up_to_the_first_hole(order: list[int], start: int) -> None:
    cursor = FeedCursor(start)
    known = set(range(1, start + 1))
    for number in order:
        cursor.add(number)
        known.add(number)
        hole = min(set(range(1, 14)) - known)
        assert cursor.seen == hole - 1
        assert cursor.ahead == {n for n in known if n > hole}


@given(data=st.data())
def test_any_order_and_repetition_ends_the_same(data: st.DataObject) -> None:
    """Recorded copies, unrecorded copies, two ways, out of order: the last state is the one of the highest version."""
    whole = history()
    copies = [*whole, *whole, *(e.model_copy(update={"feed_seq": None}) for e in whole)]
    board = Board()
    versions = []
    for e in data.draw(st.permutations(copies)):
        shown = board.fold(e)
        if shown is not None:
            versions.append(shown.alarm.version)
    assert versions == sorted(versions), "an alarm never goes back on a screen"
    alarm = board.get(whole[0].alarm_id)
    assert alarm is not None
    assert (alarm.state, alarm.version, alarm.feed_seq) == (State.RESOLVED, 5, 15)
    assert board.unrecorded == 0


def test_what_calls_nobody_is_known_and_not_open() -> None:
    board = Board()
    held = event(change=Change.INHIBITED, state=State.INHIBITED, feed_seq=1)
    found = event("p-002", change=Change.FOUND, state=State.RETROSPECTIVE, feed_seq=2)
    for e in (held, found):
        assert board.fold(e) is not None
    assert board.open_alarms() == []
    assert board.counts("p-001") == board.counts("p-002") == Counts()
    assert not board.incomplete
    told = board.fold(event(change=Change.RELEASED, version=2, feed_seq=3, at_ms=NOW_MS + 5000))
    assert told is not None
    assert (told.alarm.state, told.alarm.raised) == (State.ACTIVE, "2026-03-01T10:00:05.000Z")
    assert [a.patient for a in board.open_alarms()] == ["p-001"]


def test_the_alarm_of_a_group_is_everybodys() -> None:
    board = Board()
    shown = board.fold(event(GROUPS[0], condition="devices_silent", feed_seq=1))
    assert shown is not None
    assert shown.alarm.subject == "group"
    assert [a.patient for a in board.open_alarms(frozenset({"p-9"}))] == [GROUPS[0]]


def test_whose_values_do_not_change_is_told_when_it_changes() -> None:
    told: list[tuple[str, frozenset[str]]] = []
    board = Board(lambda patient, metrics: told.append((patient, metrics)))
    still = Reason(kind="unchanging", metric="spo2", text="SpO2 does not change")
    raised = event(condition="spo2_unchanging:d-17", feed_seq=1).model_copy(update={"reasons": (still,)})
    board.fold(raised)
    board.fold(event(feed_seq=2))
    board.fold(event(condition="spo2_unchanging:d-17", change=Change.CLEARED, state=State.RESOLVED, version=2, feed_seq=3))
    assert told == [("p-001", frozenset({"spo2"})), ("p-001", frozenset())]
    told.clear()
    board = Board(lambda patient, metrics: told.append((patient, metrics)))
    board.load([folded(None, raised)], 9)
    assert told == [("p-001", frozenset({"spo2"}))], "a node that starts knows it from SQL"
