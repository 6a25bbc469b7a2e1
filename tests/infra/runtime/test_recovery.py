"""A partition's state rebuilt from snapshots and the log in memory: nothing is said again, and what follows is right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.topics import SNAPSHOTS
from infra.runtime.plan import Lookback, Plan, Snapshots
from tests.infra.runtime.memory_log import MemoryLog
from tests.infra.runtime.processed import A0, LOOKBACK, SNAPSHOT, A, Sent, key, numbered, processor, right


@pytest.mark.parametrize("plan", [LOOKBACK, SNAPSHOT], ids=["lookback", "snapshots"])
async def test_after_a_restart_the_state_is_rebuilt_in_silence(plan: Plan) -> None:
    log, sent = MemoryLog(), Sent()
    records = numbered(log, 30)
    log.offsets[A0] = 20
    await processor(log, sent, plan).process(records[20:])
    assert sent.sums() == [(o, right(o)) for o in range(20, 30)], "nothing below 20 again, right sums from 20 on"


async def test_a_lookback_reads_only_what_it_needs() -> None:
    log, sent = MemoryLog(), Sent()
    records = numbered(log, 1000)
    log.offsets[A0] = 990
    await processor(log, sent).process(records[990:])
    assert log.read_count < 12
    assert sent.sums() == [(o, right(o)) for o in range(990, 1000)]


async def test_records_that_never_arrived_are_read_from_the_log_with_their_outputs() -> None:
    log, sent = MemoryLog(), Sent()
    records = numbered(log, 20)
    work = processor(log, sent)
    await work.process(records[:5])
    await work.process([records[5], *records[9:11], records[15]])
    assert sent.sums() == [(o, right(o)) for o in range(16)]


async def test_what_another_worker_committed_meanwhile_is_taken_in_silence() -> None:
    log, sent = MemoryLog(), Sent()
    records = numbered(log, 20)
    work = processor(log, sent)
    await work.process(records[:5])
    log.offsets[A0] = 12  # the partition was away and came back
    await work.process(records[15:17])
    assert sent.sums() == [(o, right(o)) for o in [*range(5), *range(12, 17)]]


async def test_offsets_that_hold_nothing_are_passed_over() -> None:
    log, sent = MemoryLog(), Sent()
    first = numbered(log, 3)
    log.hole(A, 0)
    log.hole(A, 0)
    later = numbered(log, 2)
    work = processor(log, sent)
    await work.process([*first, *later])
    assert [total for _, total in sent.sums()] == [1, 3, 6, 10, 15]
    assert work.ledger.to_commit() == {A0: 7}


async def test_a_topic_made_anew_starts_at_its_beginning() -> None:
    log, sent = MemoryLog(), Sent()
    log.offsets[A0] = 500
    records = numbered(log, 3)
    work = processor(log, sent, SNAPSHOT)
    await work.process(records)
    assert sent.sums() == [(0, 1), (1, 3), (2, 6)]
    assert work.ledger.to_commit() == {A0: 3}


async def test_records_that_expired_are_left_behind() -> None:
    log, sent = MemoryLog(), Sent()
    records = numbered(log, 20)
    log.offsets[A0] = 5
    log.expire(A, 0, 10)
    await processor(log, sent).process(records[10:])
    assert [offset for offset, _ in sent.sums()] == list(range(10, 20))


async def test_a_snapshot_and_what_came_after_it_make_the_state() -> None:
    log, sent = MemoryLog(), Sent()
    records = numbered(log, 40)
    work = processor(log, sent, SNAPSHOT)
    await work.process(records[:25])
    (snapshot,) = work.due_snapshots()
    assert work.due_snapshots() == [], "nothing new, nothing to write"
    log.append(SNAPSHOTS.name, 0, snapshot.value, at=0, key=snapshot.key)
    await work.process(records[25:30])
    log.offsets[A0] = 28
    log.read_count = 0
    sent.outputs.clear()
    await processor(log, sent, SNAPSHOT).process(records[28:])
    assert sent.sums() == [(o, right(o)) for o in range(28, 40)]
    assert log.read_count == 1 + 3, "the snapshot and the three records between it and the committed offset"


async def test_a_snapshot_ahead_of_the_committed_offset_is_where_work_begins() -> None:
    log, sent = MemoryLog(), Sent()
    records = numbered(log, 30)
    work = processor(log, sent, SNAPSHOT)
    await work.process(records[:25])
    (snapshot,) = work.due_snapshots(at_once=True)
    log.append(SNAPSHOTS.name, 0, snapshot.value, at=0, key=snapshot.key)
    log.offsets[A0] = 20  # killed after the snapshot, before the commit
    sent.outputs.clear()
    again = processor(log, sent, SNAPSHOT)
    await again.process(records[20:])
    assert sent.sums() == [(o, right(o)) for o in range(25, 30)]
    assert again.ledger.to_commit() == {A0: 30}


async def test_without_a_snapshot_the_lookback_serves_and_of_both_the_nearer() -> None:
    plan = replace(LOOKBACK, recovery=Snapshots(0.0, otherwise=Lookback(6_000)))
    log, sent = MemoryLog(), Sent()
    records = numbered(log, 1000)
    log.offsets[A0] = 990
    await processor(log, sent, plan).process(records[990:])
    assert log.read_count < 12, "there is no snapshot yet: the lookback"
    work = processor(log, sent, plan)
    log.offsets[A0] = 0
    await work.process(records[:500])
    (old,) = work.due_snapshots()
    log.append(SNAPSHOTS.name, 0, old.value, at=0, key=old.key)
    log.offsets[A0], log.read_count = 990, 0
    await processor(log, sent, plan).process(records[990:])
    assert log.read_count < 14, "the snapshot is far behind: the lookback again"
    await work.process(records[500:988])
    (new,) = work.due_snapshots()
    log.append(SNAPSHOTS.name, 0, new.value, at=0, key=new.key)
    log.offsets[A0], log.read_count = 990, 0
    sent.outputs.clear()
    await processor(log, sent, plan).process(records[990:])
    assert log.read_count == 2 + 2 + 2, "the edge of what was done, the two snapshots, and the two records after the newer"
    assert sent.sums() == [(o, right(o)) for o in range(990, 1000)]


async def test_snapshots_of_others_and_damaged_ones_are_left_alone() -> None:
    log, sent = MemoryLog(), Sent()
    records = numbered(log, 10)
    log.append(SNAPSHOTS.name, 0, b"anything", at=0, key=b"other/0")
    log.append(SNAPSHOTS.name, 0, b"VSNPdamaged", at=0, key=key(0))
    log.append(SNAPSHOTS.name, 0, None, at=0, key=key(0))
    log.offsets[A0] = 8
    await processor(log, sent, SNAPSHOT).process(records[8:])
    assert sent.sums() == [(8, right(8)), (9, right(9))]
