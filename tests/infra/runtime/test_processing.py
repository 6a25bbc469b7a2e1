"""Records in, outputs durable, then the ledger: on a log in memory, with every kind of loss on the way."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from contracts.errors import Retryable
from contracts.faults import Fault, decode_fault
from contracts.topics import READINGS, REJECTED, SNAPSHOTS, WINDOWS
from infra.runtime.clock import SystemClock
from infra.runtime.dead_letters import PROCESSING_FAULT
from infra.runtime.faults import TooManyFaults, TooManyLetters
from infra.runtime.metrics import Metrics
from infra.runtime.offsets import Place
from infra.runtime.plan import Plan, Snapshots
from infra.runtime.processing import Processor
from infra.runtime.records import Output
from tests.infra.runtime.memory_log import LastNumbers, MemoryLog
from tests.infra.runtime.processed import A0, LOOKBACK, SNAPSHOT, A, Sent, key, numbered, processor, right


def _refuses(*_: object) -> None:
    raise TypeError("holds a client")


async def test_a_fresh_group_takes_everything_from_the_beginning() -> None:
    log, sent = MemoryLog(), Sent()
    records = numbered(log, 8)
    work = processor(log, sent)
    await work.process(records)
    assert sent.sums() == [(o, right(o)) for o in range(8)]
    assert work.ledger.to_commit() == {A0: 8}


class TestBugs:
    """A record that raises in the room is put aside; the half-changed state is never used."""

    @pytest.mark.parametrize("plan", [LOOKBACK, SNAPSHOT], ids=["lookback", "snapshots"])
    async def test_neighbours_keep_right_sums(self, plan: Plan) -> None:
        log, sent = MemoryLog(), Sent()
        numbered(log, 10)
        log.append(A, 0, b"bug", at=10_000)
        for n in range(11, 16):
            log.append(A, 0, str(n).encode(), at=n * 1000)
        log.append(A, 0, b"bug", at=16_000)
        log.append(A, 0, b"16", at=17_000)
        work = processor(log, sent, plan)
        await work.process(log.records[A0][:8])
        await work.process(log.records[A0][8:])
        assert [total for _, total in sent.sums()] == [right(o) for o in range(16)]
        assert sent.letters() == [PROCESSING_FAULT, PROCESSING_FAULT]
        assert work.ledger.to_commit() == {A0: 18}

    @pytest.mark.parametrize("plan", [LOOKBACK, SNAPSHOT], ids=["lookback", "snapshots"])
    async def test_a_replay_leaves_them_out_too(self, plan: Plan) -> None:
        log, sent = MemoryLog(), Sent()
        numbered(log, 10)
        log.append(A, 0, b"bug", at=9_500)
        log.append(A, 0, b"11", at=10_000)
        log.append(A, 0, b"12", at=11_000)
        log.offsets[A0] = 12
        await processor(log, sent, plan).process(log.records[A0][12:])
        assert [total for _, total in sent.sums()] == [sum((8, 9, 10, 11, 12))]
        assert sent.letters() == [], "its letter was written before it was committed"

    @pytest.mark.parametrize("plan", [LOOKBACK, SNAPSHOT], ids=["lookback", "snapshots"])
    async def test_the_log_is_read_again_once_however_many_fail(self, plan: Plan) -> None:
        log, sent = MemoryLog(), Sent()
        numbered(log, 6)
        for n in range(7, 10):
            log.append(A, 0, b"bug", at=n * 1000)
            log.append(A, 0, str(n).encode(), at=n * 1000)
        work = processor(log, sent, plan)
        await work.process(log.records[A0][:6])
        before = log.read_count
        await work.process(log.records[A0][6:])
        assert log.read_count - before <= 8, "the records before the batch, and the edge of what was done"
        assert sent.letters() == [PROCESSING_FAULT] * 3
        assert [total for _, total in sent.sums()][-3:] == [sum((3, 4, 5, 6, 7)), sum((4, 5, 6, 7, 8)), sum((5, 6, 7, 8, 9))]

    async def test_without_a_copy_of_the_state_the_log_is_read_for_each(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(LastNumbers, "__deepcopy__", _refuses, raising=False)
        await self.test_neighbours_keep_right_sums(LOOKBACK)

    async def test_whoever_asks_for_it_is_told_whose_record_it_was(self) -> None:
        log, sent = MemoryLog(), Sent()
        log.append(A, 0, b"bug", at=1)
        await processor(log, sent, replace(LOOKBACK, fault_notices=True, group="b")).process(log.records[A0])
        letter, notice = sent.outputs
        assert letter.topic == REJECTED.name
        assert (notice.topic, notice.partition) == (A, 0)
        assert decode_fault(notice.value) == Fault(room="test-b", topic=A, offset=0, patients=())

    async def test_too_many_of_them_stop_the_process(self) -> None:
        log, sent = MemoryLog(), Sent()
        for n in range(4):
            log.append(A, 0, b"bug", at=n)
        with pytest.raises(TooManyFaults):
            await processor(log, sent, replace(LOOKBACK, max_faults_per_minute=3)).process(log.records[A0])
        assert sent.outputs == []


async def test_bad_records_are_letters_and_a_flood_of_them_stops_the_process_before_it_is_sent() -> None:
    log, sent = MemoryLog(), Sent()
    for n in range(4):
        log.append(A, 0, b"no number", at=n)
    work = processor(log, sent, replace(LOOKBACK, max_dead_letters_per_minute=3))
    await work.process(log.records[A0][:3])
    assert sent.letters() == ["is not a number"] * 3
    with pytest.raises(TooManyLetters):
        await work.process(log.records[A0][3:])
    assert len(sent.outputs) == 3
    assert work.ledger.to_commit() == {A0: 3}


async def test_nothing_is_done_when_its_outputs_are_not_durable() -> None:
    log, sent = MemoryLog(), Sent()
    records = numbered(log, 5)
    work = processor(log, sent)
    await work.process(records[:2])
    sent.fail = True
    with pytest.raises(Retryable):
        await work.process(records[2:])
    assert work.ledger.to_commit() == {A0: 2}


def delivering(deliver: Callable[[Sequence[Output]], Awaitable[Sequence[Output]]]) -> Plan:
    return replace(LOOKBACK, deliver=deliver)


async def test_delivery_comes_before_kafka_and_may_replace_outputs() -> None:
    log, sent = MemoryLog(), Sent()
    order: list[str] = []

    async def deliver(outputs: Sequence[Output]) -> Sequence[Output]:
        order.append(f"{len(outputs)} outputs, {len(sent.outputs)} sent")
        return outputs[:1]

    await processor(log, sent, delivering(deliver)).process(numbered(log, 3))
    assert order == ["3 outputs, 0 sent"]
    assert sent.sums() == [(0, 1)]


async def test_delivery_is_not_called_for_replayed_records() -> None:
    log, sent = MemoryLog(), Sent()
    seen: list[int] = []

    async def deliver(outputs: Sequence[Output]) -> Sequence[Output]:
        seen.extend(json.loads(output.value)["offset"] for output in outputs)
        return outputs

    records = numbered(log, 10)
    log.offsets[A0] = 7
    await processor(log, sent, delivering(deliver)).process(records[7:])
    assert seen == [7, 8, 9]


async def test_delivery_that_must_wait_is_tried_again_and_nothing_is_skipped() -> None:
    log, sent = MemoryLog(), Sent()
    tries: list[int] = []
    states: list[str] = []

    async def deliver(outputs: Sequence[Output]) -> Sequence[Output]:
        tries.append(len(outputs))
        if len(tries) < 3:
            raise Retryable("SQL is away", after_s=0.0)
        return outputs

    plan = delivering(deliver)
    work = Processor(plan, log, key, sent, clock=SystemClock(), metrics=Metrics(), say=states.append)
    await work.process(numbered(log, 2))
    assert tries == [2, 2, 2]
    assert states == ["waiting", "waiting", "running"]
    assert len(sent.sums()) == 2


class TestTwoTopics:
    PLAN = replace(LOOKBACK, topics=(READINGS, WINDOWS))

    async def test_a_room_sees_both_in_the_order_the_broker_took_them_in(self) -> None:
        log, sent = MemoryLog(), Sent()
        a = [log.append(A, 0, b"1", at=0), log.append(A, 0, b"3", at=20)]
        b = [log.append(WINDOWS.name, 0, b"2", at=10), log.append(WINDOWS.name, 0, b"4", at=30)]
        await processor(log, sent, self.PLAN).process([*b, *a])
        assert [total for _, total in sent.sums()] == [1, 3, 6, 10]

    async def test_a_replay_keeps_that_order(self) -> None:
        log, sent = MemoryLog(), Sent()
        for n in range(1, 21):
            log.append(A if n % 2 else WINDOWS.name, 0, str(n).encode(), at=n * 100)
        log.offsets = {A0: 9, Place(WINDOWS.name, 0): 9}  # 1..18 are done
        await processor(log, sent, self.PLAN).process([log.records[A0][9], log.records[Place(WINDOWS.name, 0)][9]])
        assert [total for _, total in sent.sums()] == [sum((15, 16, 17, 18, 19)), sum((16, 17, 18, 19, 20))]

    async def test_the_snapshot_holds_the_offset_of_each(self) -> None:
        log, sent = MemoryLog(), Sent()
        plan = replace(self.PLAN, recovery=Snapshots(0.0))
        records = [log.append(A, 0, b"1", at=0), log.append(WINDOWS.name, 0, b"2", at=1)]
        work = processor(log, sent, plan)
        await work.process(records)
        (snapshot,) = work.due_snapshots(at_once=True)
        log.append(SNAPSHOTS.name, 0, snapshot.value, at=0, key=snapshot.key)
        later = [log.append(WINDOWS.name, 0, b"3", at=2)]
        sent.outputs.clear()
        await processor(log, sent, plan).process(later)
        assert [total for _, total in sent.sums()] == [6]


async def test_a_partition_without_records_is_made_ready_too() -> None:
    log, sent = MemoryLog(), Sent()
    work = processor(log, sent)
    await work.prepare([0, 1, 2])
    assert work.warm == {0, 1, 2}
    work.drop(1)
    assert work.warm == {0, 2}


async def test_a_late_repeat_after_another_worker_got_further_does_not_move_the_group_back() -> None:
    log, sent = MemoryLog(), Sent()
    records = numbered(log, 4)
    ours = processor(log, sent)
    await ours.process(records[:1])
    ours.ledger.revoked()
    log.offsets[A0] = 4  # the other one's
    await ours.process(records[:3])  # still on its way from before
    assert ours.ledger.standing() == {A0: 4}
    assert all(offset >= 4 for offset in ours.ledger.to_commit().values())
    assert [offset for offset, _ in sent.sums()] == [0], "what the other one has said is not said again"
