"""The gateway's memory of what was written, against a plain set."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.frames import Labels
from contracts.reading_json import parse_readings
from producers.gateway.dedup import HORIZON, Identities, Seen, first_of_each, identities, joined
from tests.producers.gateway.building import NOW_MS, as_json, reading


def ids(*rows: tuple[str, int, int]) -> Identities:
    """(device, boot, seq) rows."""
    keys = tuple(dict.fromkeys((device, boot) for device, boot, _ in rows))
    return Identities(
        keys=keys,
        key_of_row=np.array([keys.index((device, boot)) for device, boot, _ in rows], dtype=np.intp),
        seq=np.array([seq for *_, seq in rows], dtype=np.int64),
    )


def known(seen: Seen, *rows: tuple[str, int, int]) -> list[bool]:
    return list(seen.known(ids(*rows)))


class Oracle:
    """The same promise with sets: the last 4,096 numbers of each (device, boot), the least recently used forgotten."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.seqs: dict[tuple[str, int], set[int]] = {}

    def known(self, device: str, boot: int, seq: int) -> bool:
        found = self.seqs.get((device, boot), set())
        return seq in found and max(found) - seq < HORIZON

    def register(self, rows: list[tuple[str, int, int]]) -> None:
        keys = sorted({(device, boot) for device, boot, _ in rows}, key=[(d, b) for d, b, _ in rows].index)
        for key in keys:
            found = self.seqs.pop(key, set())
            self.seqs[key] = found | {seq for device, boot, seq in rows if (device, boot) == key}
            if len(self.seqs) > self.capacity:
                self.seqs.pop(next(iter(self.seqs)))


row = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 1),
    st.one_of(
        st.integers(0, 40),
        st.integers(HORIZON - 3, HORIZON + 3),
        st.integers(2 * HORIZON - 70, 2 * HORIZON + 70),
        st.integers(5 * HORIZON, 5 * HORIZON + 200),
        st.integers((1 << 36) - 5, (1 << 36) - 1),
    ),
)


@settings(max_examples=300, deadline=None)
@given(batches=st.lists(st.lists(row, min_size=1, max_size=12), max_size=12))
def test_it_knows_what_a_set_knows(batches: list[list[tuple[str, int, int]]]) -> None:
    seen, oracle = Seen(capacity=100), Oracle(capacity=100)
    for batch in batches:
        assert known(seen, *batch) == [oracle.known(*r) for r in batch]
        seen.register(ids(*batch))
        oracle.register(batch)
        assert known(seen, *batch) == [oracle.known(*r) for r in batch]


@settings(max_examples=150, deadline=None)
@given(batches=st.lists(st.lists(row, min_size=1, max_size=1), max_size=40))
def test_the_least_recently_used_are_forgotten(batches: list[list[tuple[str, int, int]]]) -> None:
    seen, oracle = Seen(capacity=3), Oracle(capacity=3)
    for batch in batches:
        assert known(seen, *batch) == [oracle.known(*r) for r in batch]
        seen.register(ids(*batch))
        oracle.register(batch)
        assert len(seen) == len(oracle.seqs) <= 3


def test_more_devices_at_once_than_fit_leave_the_bound_standing() -> None:
    seen = Seen(capacity=10)
    seen.register(ids(*[(f"d{i}", 0, 1) for i in range(95)]))
    assert len(seen) == 10
    assert known(seen, ("d94", 0, 1), ("d0", 0, 1)) == [True, False]


def test_what_is_joined_counts_as_registered_one_by_one() -> None:
    parts = [ids(("a", 0, 1), ("b", 0, 2)), ids(("b", 0, 3)), ids(("a", 0, 70), ("c", 1, 1))]
    seen = Seen()
    seen.register(joined(parts))
    assert len(seen) == 3
    assert all(all(seen.known(part)) for part in parts)
    assert known(seen, ("a", 0, 2), ("b", 0, 1), ("c", 1, 2)) == [False] * 3


def test_growing_keeps_what_is_known() -> None:
    seen = Seen(capacity=1000)
    rows = [(f"d{i}", 0, i) for i in range(700)]
    for start in range(0, 700, 50):
        seen.register(ids(*rows[start : start + 50]))
    assert all(known(seen, *rows))
    assert not any(known(seen, *[(d, b, s + 1) for d, b, s in rows]))


def test_a_forgotten_slot_does_not_hand_its_numbers_to_the_next_device() -> None:
    seen = Seen(capacity=1)
    seen.register(ids(("old", 0, 5)))
    seen.register(ids(("new", 0, 9)))
    assert known(seen, ("new", 0, 5), ("new", 0, 9), ("old", 0, 5)) == [False, True, False]


def test_asking_leaves_no_trace() -> None:
    seen = Seen()
    assert known(seen, ("d", 0, 1)) == [False]
    assert len(seen) == 0


@pytest.mark.parametrize("jump", [1, 63, 64, 65, HORIZON - 1, HORIZON, HORIZON + 1, 10 * HORIZON])
def test_a_jump_clears_exactly_what_it_passes(jump: int) -> None:
    seen = Seen()
    first = [("d", 0, seq) for seq in range(HORIZON)]
    seen.register(ids(*first))
    seen.register(ids(("d", 0, HORIZON - 1 + jump)))
    expected = [HORIZON - 1 + jump - seq < HORIZON for _, _, seq in first]
    assert known(seen, *first) == expected
    passed = [("d", 0, seq) for seq in range(HORIZON, HORIZON - 1 + jump)][-HORIZON + 1 :]
    assert not passed or not any(known(seen, *passed))


@given(rows=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 5)), max_size=30))
def test_the_first_of_each_is_found(rows: list[tuple[str, int, int]]) -> None:
    assert list(first_of_each(ids(*rows) if rows else ids())) == [rows.index(r) for r in rows]


def test_identities_tell_devices_and_boots_apart_and_join_double_names() -> None:
    parsed = parse_readings(
        as_json(
            reading(device="a", boot=1, seq=1), reading(device="b", boot=1, seq=1), reading(device="a", boot=2, seq=1),
            reading(device="a", boot=1, seq=1),
        ),
        received_ms=NOW_MS,
    )  # fmt: skip
    found = identities(parsed.readings)
    assert [found.keys[k] for k in found.key_of_row] == [("a", 1), ("b", 1), ("a", 2), ("a", 1)]
    # A frame may list the same name twice; it is still one device.
    doubled = replace(parsed.readings, device=Labels(codes=np.array([0, 1, 2, 2], np.int32), names=("x", "y", "x")))
    assert [identities(doubled).keys[k] for k in identities(doubled).key_of_row] == [
        ("x", 1),
        ("y", 1),
        ("x", 2),
        ("x", 1),
    ]


def test_a_capacity_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="capacity"):
        Seen(capacity=0)
