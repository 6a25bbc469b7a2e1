"""Numbers on a log in memory, and a processor that adds the last of them: what it sent tells whether its state was right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from contracts.errors import Retryable
from contracts.topics import READINGS, REJECTED, SCORES
from infra.runtime.clock import SystemClock
from infra.runtime.dead_letters import reason_of
from infra.runtime.metrics import Metrics
from infra.runtime.offsets import Place
from infra.runtime.plan import Lookback, Plan, Snapshots
from infra.runtime.processing import Processor
from infra.runtime.records import Output, Record
from tests.infra.runtime.memory_log import LastNumbers, MemoryLog

A = READINGS.name
A0 = Place(A, 0)
LOOKBACK = Plan(name="test", topics=(READINGS,), make_room=LastNumbers, recovery=Lookback(6_000))
SNAPSHOT = replace(LOOKBACK, recovery=Snapshots(0.0))


class Sent:
    """Keeps what was sent; fails when told to."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.fail = False

    async def __call__(self, outputs: Sequence[Output]) -> None:
        if self.fail:
            raise Retryable("away")
        self.outputs += outputs

    def sums(self) -> list[tuple[int, int]]:
        """(offset, sum) in the order sent."""
        found = [json.loads(output.value) for output in self.outputs if output.topic == SCORES.name]
        return [(f["offset"], f["sum"]) for f in found]

    def letters(self) -> list[str]:
        return [reason_of(output) for output in self.outputs if output.topic == REJECTED.name]


def key(partition: int) -> bytes:
    return b"g/%d" % partition


def processor(log: MemoryLog, sent: Sent, plan: Plan = LOOKBACK) -> Processor:
    return Processor(plan, log, key, sent, clock=SystemClock(), metrics=Metrics())


def numbered(log: MemoryLog, count: int, *, topic: str = A, partition: int = 0, first_s: int = 0) -> list[Record]:
    """Numbers 1, 2, 3 ... one a second."""
    at = len(log.records[Place(topic, partition)])
    return [
        log.append(topic, partition, str(at + n + 1).encode(), at=(first_s + at + n) * 1000) for n in range(count)
    ]


def right(offset: int, remembered: int = 5) -> int:
    """The sum that belongs to an offset of `numbered`."""
    return sum(range(max(1, offset + 2 - remembered), offset + 2))
