"""Records in, outputs durable, then the ledger, in random order: workers that die, and a carrier that drops and repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.errors import Retryable
from contracts.topics import SNAPSHOTS
from infra.runtime.plan import Plan
from tests.infra.runtime.memory_log import MemoryLog
from tests.infra.runtime.processed import A0, LOOKBACK, SNAPSHOT, Sent, numbered, processor, right


class Worker:
    """A process that can die: it has what the log knows and nothing else."""

    def __init__(self, log: MemoryLog, sent: Sent, plan: Plan) -> None:
        self.processor = processor(log, sent, plan)
        self.position = log.offsets.get(A0, 0)


class Delivery(RuleBasedStateMachine):
    """One partition, workers that die, lose it and get it back, and a carrier that drops, repeats and forgets.

    At every moment each output that was sent is right, and each record below the committed offset has its output.
    """

    plan = LOOKBACK

    def __init__(self) -> None:
        super().__init__()
        self.log, self.sent = MemoryLog(), Sent()
        self.workers = [Worker(self.log, self.sent, self.plan) for _ in range(2)]
        self.owner = 0

    def run(self, step: Awaitable[None]) -> None:
        async def main() -> None:
            await step

        asyncio.run(main())

    @rule(count=st.integers(1, 7))
    def write(self, count: int) -> None:
        numbered(self.log, count)

    @rule(data=st.data(), durable=st.sampled_from(["all", "all", "all", "none"]))
    def carry(self, data: st.DataObject, durable: str) -> None:
        """The owner gets what follows its position, some of it dropped, some of it twice."""
        worker = self.workers[self.owner]
        coming = self.log.records[A0][worker.position : worker.position + 10]
        kept = [r for r in coming if data.draw(st.integers(0, 9)) < 8]
        twice = [r for r in self.log.records[A0][: worker.position] if data.draw(st.integers(0, 19)) == 0]
        worker.position += len(coming)
        self.sent.fail = durable == "none"
        try:
            self.run(worker.processor.process([*twice, *kept]))
        except Retryable:
            self.die()
        finally:
            self.sent.fail = False

    @rule()
    def commit(self) -> None:
        worker = self.workers[self.owner]
        owed = worker.processor.ledger.to_commit()
        self.log.offsets.update(owed)
        worker.processor.ledger.committed(owed)

    @rule()
    def snapshot(self) -> None:
        for output in self.workers[self.owner].processor.due_snapshots(at_once=True):
            self.log.append(SNAPSHOTS.name, 0, output.value, at=0, key=output.key)

    @rule()
    def die(self) -> None:
        """kill -9: nothing is committed, the next one starts from what the broker knows."""
        self.workers[self.owner] = Worker(self.log, self.sent, self.plan)

    @rule(politely=st.booleans())
    def move(self, politely: bool) -> None:
        """The partition goes to the other worker, which may have had it before."""
        if politely:
            self.commit()
        self.workers[self.owner].processor.ledger.revoked()
        self.owner = 1 - self.owner
        self.workers[self.owner].position = self.log.offsets.get(A0, 0)

    @precondition(lambda self: self.log.records[A0])
    @rule()
    def away_and_back(self) -> None:
        """Another worker gets further meanwhile; what was owed before must not move the group back."""
        self.move(politely=False)
        self.arrive_at_the_end()
        self.move(politely=True)
        self.commit()

    @precondition(lambda self: self.log.records[A0])
    @rule()
    def arrive_at_the_end(self) -> None:
        """Everything that was written comes at last; then every record has its output."""
        worker = self.workers[self.owner]
        self.run(worker.processor.process(self.log.records[A0][self.log.offsets.get(A0, 0) :]))
        worker.position = len(self.log.records[A0])
        assert {offset for offset, _ in self.sent.sums()} == set(range(len(self.log.records[A0])))

    @invariant()
    def outputs_are_right(self) -> None:
        for offset, total in self.sent.sums():
            assert total == right(offset)

    @invariant()
    def committed_records_have_outputs(self) -> None:
        assert {offset for offset, _ in self.sent.sums()} >= set(range(self.log.offsets.get(A0, 0)))

    @invariant()
    def the_committed_offset_never_moves_back(self) -> None:
        now = self.log.offsets.get(A0, 0)
        assert now >= getattr(self, "_seen", 0)
        self._seen = now


class DeliveryWithSnapshots(Delivery):
    plan = SNAPSHOT


TestDelivery = Delivery.TestCase
TestDeliveryWithSnapshots = DeliveryWithSnapshots.TestCase
for _case in (TestDelivery, TestDeliveryWithSnapshots):
    _case.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
del _case
