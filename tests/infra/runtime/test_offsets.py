"""The ledger's rule, as tables: next is taken, before is done, after means that records must be read from the log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.runtime.offsets import Gap, Ledger, Merge, Place, Stretch, after, arrange, in_log_order, reference_time
from infra.runtime.records import Record

A0, B0, A1 = Place("a", 0), Place("b", 0), Place("a", 1)


def rec(topic: str, offset: int, *, at: int | None = None, partition: int = 0) -> Record:
    return Record(
        topic=topic, partition=partition, offset=offset, timestamp_ms=offset if at is None else at,
        key=None, value=b"{}", headers=(),
    )  # fmt: skip


def plan(next_offsets: dict[str, int], *arriving: tuple[str, int]) -> list[object]:
    """Stretches as lists of (topic, offset), gaps as (topic, start, stop)."""
    found: list[object] = []
    for part in arrange(next_offsets, [rec(t, o) for t, o in arriving]):
        if isinstance(part, Gap):
            found.append((part.place.topic, part.start, part.stop))
        else:
            found.append([(r.topic, r.offset) for r in part.records])
    return found


@pytest.mark.parametrize(
    ("next_offsets", "arriving", "expected"),
    [
        pytest.param({"a": 5}, [("a", 5), ("a", 6)], [[("a", 5), ("a", 6)]], id="they follow one another"),
        pytest.param({"a": 5}, [("a", 3), ("a", 4)], [], id="all done before"),
        pytest.param({"a": 5}, [("a", 4), ("a", 5)], [[("a", 5)]], id="the first one was done before"),
        pytest.param({"a": 5}, [("a", 7)], [("a", 5, 7), [("a", 7)]], id="two were dropped on the way"),
        pytest.param(
            {"a": 5}, [("a", 5), ("a", 8)], [[("a", 5)], ("a", 6, 8), [("a", 8)]], id="dropped within the batch"
        ),
        pytest.param({"a": 5}, [("a", 5), ("a", 5), ("a", 6)], [[("a", 5), ("a", 6)]], id="delivered twice"),
        pytest.param(
            {"a": 5, "b": 9}, [("b", 9), ("a", 5), ("b", 10)], [[("b", 9), ("a", 5), ("b", 10)]], id="two topics"
        ),
        pytest.param(
            {"a": 5, "b": 9}, [("a", 5), ("b", 11)], [[("a", 5)], ("b", 9, 11), [("b", 11)]], id="a gap in one topic"
        ),
        pytest.param({"a": 0}, [], [], id="nothing came"),
    ],
)
def test_arrange(next_offsets: dict[str, int], arriving: list[tuple[str, int]], expected: list[object]) -> None:
    assert plan(next_offsets, *arriving) == expected


def test_a_topic_without_a_known_offset_is_a_defect_of_the_caller() -> None:
    with pytest.raises(KeyError):
        arrange({"a": 1}, [rec("b", 0)])


@given(
    start=st.integers(0, 5),
    delivered=st.lists(st.integers(0, 20), max_size=30),
)
def test_whatever_is_delivered_every_offset_is_done_exactly_once_and_in_order(start: int, delivered: list[int]) -> None:
    """Dropped, repeated and reordered deliveries: taken records and gaps together are [start, top) without a hole."""
    covered: list[int] = []
    for part in arrange({"a": start}, [rec("a", offset) for offset in delivered]):
        covered += range(part.start, part.stop) if isinstance(part, Gap) else [r.offset for r in part.records]
    top = max([offset + 1 for offset in delivered if offset >= start], default=start)
    assert covered == list(range(start, top))


def test_stretches_are_never_empty_or_adjacent() -> None:
    parts = arrange({"a": 0}, [rec("a", o) for o in (0, 1, 5, 6)])
    assert [type(part) for part in parts] == [Stretch, Gap, Stretch]


def test_after_gives_the_next_offset_of_each_place() -> None:
    assert after([rec("a", 3), rec("b", 8), rec("a", 4), rec("a", 2, partition=1)]) == {A0: 5, B0: 9, A1: 3}


class TestLedger:
    def test_what_is_done_is_owed_until_the_broker_took_it(self) -> None:
        ledger = Ledger()
        ledger.begin(A0, 10, committed=10)
        assert ledger.to_commit() == {}
        ledger.advance({A0: 12}, ledger.epoch)
        owed = ledger.to_commit()
        ledger.advance({A0: 13}, ledger.epoch)  # done while the commit was on its way
        ledger.committed(owed)
        assert owed == {A0: 12}
        assert ledger.to_commit() == {A0: 13}

    def test_a_room_rebuilt_past_the_committed_offset_owes_the_commit(self) -> None:
        ledger = Ledger()
        ledger.begin(A0, 10, committed=7)
        ledger.begin(B0, 3, committed=None)
        assert ledger.to_commit() == {A0: 10, B0: 3}

    def test_an_old_end_does_not_move_a_place_back(self) -> None:
        ledger = Ledger()
        ledger.begin(A0, 10, committed=10)
        ledger.advance({A0: 9}, ledger.epoch)
        assert ledger.next_offsets(0) == {"a": 10}
        assert ledger.to_commit() == {}

    def test_after_a_revocation_nothing_is_owed_but_the_state_still_counts(self) -> None:
        ledger = Ledger()
        ledger.begin(A0, 10, committed=10)
        ledger.advance({A0: 12}, ledger.epoch)
        ledger.revoked()
        assert ledger.to_commit() == {}
        assert ledger.next_offsets(0) == {"a": 12}

    def test_a_batch_that_outlives_a_revocation_counts_for_the_state_and_owes_no_commit(self) -> None:
        ledger = Ledger()
        ledger.begin(A0, 10, committed=10)
        epoch = ledger.epoch
        ledger.revoked()
        ledger.advance({A0: 12}, epoch)
        assert ledger.next_offsets(0) == {"a": 12}
        assert ledger.to_commit() == {}
        ledger.owe([rec("a", 10)])  # the partition came back, and the broker still stands at 10
        assert ledger.to_commit() == {A0: 12}

    def test_what_is_kept_over_a_revocation_is_unsure_until_the_broker_was_asked(self) -> None:
        ledger = Ledger()
        ledger.begin(A0, 10, committed=10)
        ledger.begin(A1, 4, committed=4)
        assert ledger.unsure({0, 1}) == []
        ledger.revoked()
        assert ledger.unsure({0}) == [A0]
        before = ledger.epoch
        ledger.revoked()
        ledger.sure([A0], before)  # asked before it went away once more: says nothing
        assert ledger.unsure({0, 1}) == [A0, A1]
        ledger.sure([A0], ledger.epoch)
        ledger.drop(1)
        assert ledger.unsure({0, 1}) == []

    def test_a_dropped_room_is_unknown_again(self) -> None:
        ledger = Ledger()
        for place in (A0, B0, A1):
            ledger.begin(place, 4, committed=None)
        ledger.drop(0)
        assert ledger.next_offsets(0) == {}
        assert ledger.standing() == {A1: 4}
        assert ledger.to_commit() == {A1: 4}


class TestOrderBetweenTopics:
    def test_by_the_time_the_broker_took_them_in(self) -> None:
        records = [rec("a", 0, at=10), rec("a", 1, at=30), rec("b", 7, at=20), rec("b", 8, at=40)]
        assert [(r.topic, r.offset) for r in in_log_order(records)] == [("a", 0), ("b", 7), ("a", 1), ("b", 8)]

    def test_equal_times_go_by_topic(self) -> None:
        records = [rec("b", 0, at=5), rec("a", 0, at=5)]
        assert [r.topic for r in in_log_order(records)] == ["a", "b"]

    def test_a_topic_keeps_its_own_order_when_the_brokers_clock_jumped_back(self) -> None:
        records = [rec("a", 0, at=100), rec("a", 1, at=50), rec("b", 0, at=70)]
        assert [(r.topic, r.offset) for r in in_log_order(records)] == [("b", 0), ("a", 0), ("a", 1)]

    def test_nothing_is_taken_while_an_open_topic_may_still_come_first(self) -> None:
        merge = Merge(["a", "b"])
        merge.put(rec("a", 0, at=10))
        assert merge.take() == []
        merge.put(rec("b", 0, at=5))
        assert [r.topic for r in merge.take()] == ["b"]
        assert merge.waiting("a") == 1
        merge.close("b")
        assert [r.topic for r in merge.take()] == ["a"]

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=40))
    def test_every_record_comes_out_once_in_its_topics_order(self, arrivals: list[tuple[str, int]]) -> None:
        counts = dict.fromkeys("abc", 0)
        records = []
        for topic, at in arrivals:
            records.append(rec(topic, counts[topic], at=at))
            counts[topic] += 1
        ordered = in_log_order(records)
        for topic, count in counts.items():
            assert [r.offset for r in ordered if r.topic == topic] == list(range(count))


@pytest.mark.parametrize(
    ("done", "coming", "expected"),
    [
        pytest.param({"a": None}, {"a": 10}, None, id="nothing was done"),
        pytest.param({"a": 100}, {"a": 101}, 100, id="one topic: the last record done"),
        pytest.param({"a": 100, "b": 5}, {"a": 101, "b": None}, 100, id="an idle topic asks for no extra replay"),
        pytest.param({"a": 100, "b": 5}, {"a": None, "b": 99}, 99, id="idle for long, one new record"),
        pytest.param({"a": 40, "b": 100}, {"a": 41, "b": None}, 41, id="a lagging topic needs the other from its time on"),
        pytest.param({"a": 100, "b": None}, {"a": None, "b": None}, 100, id="a topic that was never written"),
    ],
)
def test_reference_time(done: dict[str, int | None], coming: dict[str, int | None], expected: int | None) -> None:
    assert reference_time(done, coming) == expected
