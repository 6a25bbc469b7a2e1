"""The queue of a device: bounded, oldest first, and polite when the other side is away."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contracts.readings import concat
from producers.sources.store_and_forward import (
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    Batch,
    Waiting,
    joined,
    retry_after_s,
    slices,
    wait_s,
)
from producers.sources.ward import Ward

START_MS = 1_767_225_600_000


def batches(sizes: list[int]) -> list[Batch]:
    row = Ward(1, 1, "calm", START_MS).step().take(np.array([0]))
    return [Batch(concat([row] * size), float(i)) for i, size in enumerate(sizes)]


@given(sizes=st.lists(st.integers(1, 5), max_size=30), most=st.integers(5, 20))
def test_the_newest_stay_and_the_rest_is_counted(sizes: list[int], most: int) -> None:
    waiting = Waiting(most)
    all_batches = batches(sizes)
    for batch in all_batches:
        waiting.put(batch)
    assert waiting.rows <= most
    kept = waiting.oldest(10**9)
    assert kept == all_batches[len(all_batches) - len(kept) :]
    assert waiting.rows + waiting.dropped == sum(sizes)


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=30), request=st.integers(1, 12))
def test_everything_is_sent_once_and_oldest_first(sizes: list[int], request: int) -> None:
    waiting = Waiting(10**6)
    for batch in batches(sizes):
        waiting.put(batch)
    order: list[float] = []
    while waiting:
        chosen = waiting.oldest(request)
        assert len(chosen) == 1 or sum(len(b.readings) for b in chosen) <= request
        assert len(joined(chosen)) == sum(len(b.readings) for b in chosen)
        order += [b.due_s for b in chosen]
        waiting.done(chosen)
    assert order == [float(i) for i in range(len(sizes))]
    assert waiting.rows == 0


def test_a_batch_given_up_while_on_its_way_is_not_taken_for_another() -> None:
    waiting = Waiting(4)
    first, second, third = batches([2, 2, 2])
    waiting.put(first)
    waiting.put(second)
    underway = waiting.oldest(2)
    waiting.put(third)
    assert waiting.dropped == 2
    waiting.done(underway)
    assert waiting.oldest(100) == [second, third]


def test_waiting_grows_is_jittered_and_ends_somewhere() -> None:
    rng = np.random.default_rng(1)
    for tries in (1, 2, 5, 40):
        waits = [wait_s(tries, None, rng) for _ in range(200)]
        most = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (tries - 1))
        assert max(waits) <= most
        assert min(waits) >= most / 10
        assert np.std(waits) > most / 10


def test_what_the_gateway_asks_for_is_honoured() -> None:
    rng = np.random.default_rng(1)
    assert all(7.0 <= wait_s(1, 7.0, rng) <= 7.0 + FIRST_WAIT_S for _ in range(50))
    assert wait_s(1, 1e9, rng) <= 121


def test_retry_after_may_be_a_date() -> None:
    assert retry_after_s("Thu, 01 Jan 2026 00:00:10 GMT", 1_767_225_600.0) == 10.0
    assert retry_after_s("Thu, 01 Jan 2026 00:00:10 GMT", 1_767_225_700.0) == 0.0
    for nonsense in ("", "-3", "1.5", "tomorrow", "9" * 40):
        assert retry_after_s(nonsense, 0.0) is None


@given(beds=st.integers(1, 60), count=st.integers(1, 20), seconds=st.integers(0, 3))
def test_slices_hold_each_row_once_at_its_time(beds: int, count: int, seconds: int) -> None:
    ward = Ward(beds, 3, "calm", START_MS)
    for _ in range(seconds):
        ward.step()
    whole = ward.step()
    parts = slices(whole, count)
    ends = [end for end, _ in parts]
    assert ends == sorted(set(ends))
    assert sum(len(p) for _, p in parts) == len(whole)
    for end_ms, part in parts:
        assert (part.time_ms % 1000 < end_ms).all()
        assert (part.time_ms % 1000 >= end_ms - 1000 / count - 1).all()
    together = concat([p for _, p in parts])
    assert sorted(zip(together.device.tolist(), together.seq.tolist(), strict=True)) == sorted(
        zip(whole.device.tolist(), whole.seq.tolist(), strict=True)
    )
