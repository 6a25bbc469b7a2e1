"""Gathering what arrives within a few milliseconds into one frame per partition.

A thousand devices that send one reading a second must not become a thousand frames: each costs the processors as much
as five hundred readings. Every caller waits for the frames that hold its own readings, and for those alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from contracts.readings import Readings, encode_readings
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, READINGS
from infra.runtime.logs import get_logger
from infra.runtime.metrics import Metrics
from infra.runtime.records import Output
from producers.gateway.dedup import Identities, Seen, joined
from producers.gateway.delivery import Delivery
from producers.gateway.ingest import Answer, Decision, Media, Payload, decide, gather, is_single, read_or_problem
from producers.gateway.problems import Problem, away, busy, failed, stopping
from producers.gateway.steady_clock import SteadyClock
from producers.split import PartitionCache

GATHER_S: Final = 0.005
# While the writes before are under way, gathering goes on for so many times as long: where Kafka or the machine is slow,
# frames grow instead of becoming more.
_LONGER: Final = 4
MAX_WAITING_BYTES: Final = 48 * 1024 * 1024
# As many rows as surely fit one message even when every key has its greatest length.
ROWS_PER_FRAME: Final = 5_000
_ROWS_PER_FLUSH: Final = 10_000
# Reading a payload of this size takes a millisecond or more: not on the event loop.
_READ_ASIDE_BYTES: Final = 64 * 1024

_HEADERS: Final = ((CONTENT_TYPE, ARROW_FRAME.encode()),)
# A sender chooses the names of unknown fields: they must not become names of metrics.
_FIELDS: Final = frozenset(
    {"patient", "device", "metric", "value", "unit", "time", "boot", "seq", "quality", "reading", "payload"}
)

Outcome = Answer | Problem

_log = get_logger("producers.gateway.batching")


@dataclass(slots=True)
class Request:
    """One caller. `size` is what it holds of the budget, `left` how many partitions it still waits for."""

    outcome: asyncio.Future[Outcome]
    size: int
    payload: Payload | bytes
    left: int = 0

    def settle(self, outcome: Outcome) -> bool:
        """Answer the caller; False when it has its answer."""
        if self.outcome.done():
            return False
        self.outcome.set_result(outcome)
        return True


class Batcher:
    """The way of every reading from a payload to its answer. Belongs to one event loop."""

    def __init__(
        self,
        delivery: Delivery,
        *,
        clock: SteadyClock,
        metrics: Metrics,
        seen: Seen | None = None,
        partitions: int = READINGS.partitions,
        gather_s: float = GATHER_S,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._delivery = delivery
        self._clock = clock
        self._metrics = metrics
        self._seen = seen if seen is not None else Seen()
        self._partitions = PartitionCache(partitions)
        self._gather_s = gather_s
        self._max_waiting = max_waiting_bytes
        self._waiting_bytes = 0
        self._durable_ids: list[Identities] = []  # not yet in `seen`: they are entered together
        self._requests: list[Request] = []
        self._rows = 0
        self._timer: asyncio.TimerHandle | None = None
        self._under_way = 0  # batches that Kafka has not confirmed
        self._stopping = False
        # One thread: payloads that are unpacked aside take turns, so that together they take the memory of one.
        self._aside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-payload")

    @property
    def waiting_bytes(self) -> int:
        """Payload bytes that were taken and are not settled."""
        return self._waiting_bytes

    def refusal(self, size: int = 0) -> Problem | None:
        """Why a payload of `size` bytes cannot be taken now, if so."""
        availability = self._delivery.availability
        if self._stopping:
            return stopping(availability.retry_after_s())
        if availability.none_left:
            return away(availability.retry_after_s())
        if self._waiting_bytes + size > self._max_waiting:
            return busy(availability.retry_after_s())
        return None

    def submit(self, payload: bytes, media: Media, *, gzip: bool = False) -> asyncio.Future[Outcome]:
        """Take one payload. The future always ends with a result: an answer once Kafka has every accepted reading, or
        the problem that kept us from it."""
        loop = asyncio.get_running_loop()
        request = Request(loop.create_future(), len(payload), payload)
        refusal = self.refusal(len(payload))
        if refusal is not None:
            request.settle(refusal)
            return request.outcome
        self._waiting_bytes += request.size
        if media == "json" and not gzip and is_single(payload):
            self._add(request, 1)
            return request.outcome
        reader = partial(read_or_problem, payload, media, received_ms=self._clock.now_ms(), gzip=gzip)
        if gzip or len(payload) > _READ_ASIDE_BYTES:
            reading = loop.run_in_executor(self._aside, reader)
            reading.add_done_callback(lambda done: self._take_from(request, done))
        else:
            self._take(request, reader())
        return request.outcome

    def _take_from(self, request: Request, reading: asyncio.Future[Payload | Problem]) -> None:
        if reading.cancelled():
            self._end(request, stopping(self._delivery.availability.retry_after_s()))
        elif (error := reading.exception()) is not None:
            _log.error("payload not read", error=type(error).__name__)
            self._end(request, failed())
        else:
            self._take(request, reading.result())

    def _take(self, request: Request, payload: Payload | Problem) -> None:
        if isinstance(payload, Problem):
            self._end(request, payload)
            return
        request.payload = payload
        self._add(request, len(payload.readings))

    def _add(self, request: Request, rows: int) -> None:
        if self._rows + rows > _ROWS_PER_FLUSH:
            self.flush()
        self._requests.append(request)
        self._rows += rows
        if self._rows >= _ROWS_PER_FLUSH:
            self.flush()
        elif self._timer is None:
            self._gather_on(_LONGER)

    def _gather_on(self, times: int) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._gather_s, self._gathered, times - 1)

    def _gathered(self, times: int) -> None:
        if self._under_way and times:
            self._gather_on(times)
        else:
            self.flush()

    def _end(self, request: Request, outcome: Outcome) -> None:
        self._waiting_bytes -= request.size
        request.settle(outcome)

    def flush(self) -> None:
        """Start writing everything gathered so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._durable_ids:
            self._seen.register(joined(self._durable_ids))
            self._durable_ids.clear()
        requests, self._requests, self._rows = self._requests, [], 0
        if not requests:
            return
        try:
            gathered = gather([request.payload for request in requests], received_ms=self._clock.now_ms())
            readings = gathered.rows.readings
            self._clock.saw(readings.time_ms, sum(map(len, gathered.refused.values())) + len(gathered.unreadable))
            decision = decide(gathered, seen=self._seen, partitions=self._partitions)
        except Exception as defect:  # it must not leave callers waiting for ever
            _log.error("batch not decided", error=type(defect).__name__)
            for request in requests:
                self._end(request, failed())
            return
        for number, why in gathered.unreadable.items():
            requests[number].settle(why)
        self._fly(requests, decision)

    def _fly(self, requests: Sequence[Request], decision: Decision) -> None:
        waiting: dict[int, list[tuple[Request, Answer]]] = {partition: [] for partition in decision.parts}
        ready: list[tuple[Request, Answer]] = []
        for request, answer, waits in zip(requests, decision.answers, decision.waits, strict=True):
            request.left = len(waits)
            for partition in waits:
                waiting[partition].append((request, answer))
            if not waits:
                ready.append((request, answer))
        self._answer(ready)
        under_way = len(decision.parts)
        self._under_way += bool(under_way)
        size = sum(request.size for request in requests)
        if not under_way:
            self._waiting_bytes -= size

        def settled(partition: int, durable: bool) -> None:
            nonlocal under_way
            if durable:
                self._durable_ids.append(decision.parts[partition].ids)
                self._durable(waiting[partition])
            else:
                self._refuse(waiting[partition])
            under_way -= 1
            if not under_way:
                self._under_way -= 1
                self._waiting_bytes -= size

        for partition, part in decision.parts.items():
            if self._delivery.availability.away(partition):
                settled(partition, False)
                continue
            self._delivery.write(
                partition,
                _frames(partition, part.readings),
                settled=partial(settled, partition),
                late=partial(self._refuse, waiting[partition]),
            )

    def _durable(self, waiting: Sequence[tuple[Request, Answer]]) -> None:
        done: list[tuple[Request, Answer]] = []
        for request, answer in waiting:
            request.left -= 1
            if not request.left:
                done.append((request, answer))
        self._answer(done)

    def _answer(self, done: Sequence[tuple[Request, Answer]]) -> None:
        counts: Counter[str] = Counter()
        for request, answer in done:
            if request.settle(answer):
                counts["accepted"] += answer.accepted
                counts["duplicate"] += answer.duplicates
                if answer.rejected:
                    counts.update(r.field if r.field in _FIELDS else "other" for r in answer.rejected)
        for outcome, amount in counts.items():
            if amount:
                self._metrics.count("vigil_readings_total", amount, outcome=outcome)

    def _refuse(self, waiting: Sequence[tuple[Request, Answer]]) -> None:
        for request, _ in waiting:
            request.settle(away(self._delivery.availability.retry_after_s()))

    async def stop(self, timeout_s: float) -> None:
        """Take nothing more, write what was taken, and wait for it."""
        self._stopping = True
        self._aside.shutdown(wait=False, cancel_futures=True)
        self.flush()
        await self._delivery.finish(timeout_s)


def _frames(partition: int, readings: Readings) -> list[Output]:
    return [
        Output(
            topic=READINGS.name,
            partition=partition,
            value=encode_readings(readings if len(readings) <= ROWS_PER_FRAME else readings.take(rows)),
            headers=_HEADERS,
        )
        for rows in (
            np.arange(start, min(start + ROWS_PER_FRAME, len(readings)))
            for start in range(0, len(readings), ROWS_PER_FRAME)
        )
    ]
