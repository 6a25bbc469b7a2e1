"""Following topics from their end, outside any consumer group: every reader sees every partition."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from contracts.errors import Retryable, VigilError
from contracts.topics import Topic
from infra.runtime.kafka_clients import as_record, as_vigil_error, consumer, patiently
from infra.runtime.offsets import Place
from infra.runtime.records import Record
from infra.runtime.settings import Settings

_TIMEOUT_S: Final = 3.0
_WAIT_S: Final = 0.25
_LATEST: Final = -1
_EARLIEST: Final = -2
# A viewer hears of a message at once, and of a broker that is back soon.
_PROMPT: Final[dict[str, Any]] = {"fetch.wait.max.ms": 100, "fetch.error.backoff.ms": 100}


class TailReader:
    """Reads all partitions of `topics`, from the end, or from `back_ms` before now; `back_ms=None` from the beginning.

        with TailReader(settings, [LATEST], back_ms=60_000) as reader:
            async for records in reader.batches():
                ...

    Records of one partition come in order.
    """

    def __init__(self, settings: Settings, topics: Sequence[Topic], *, back_ms: int | None = 0) -> None:
        self._settings = settings
        self._topics = {settings.topic(topic.name): topic for topic in topics}
        self._back_ms = back_ms
        self._consumer: Consumer | None = None
        self._next: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._closed = False
        self._failure: VigilError | None = None
        self._reading = threading.Lock()

    def start(self) -> None:
        """Find the starting offsets. Blocks for some milliseconds; `Retryable` when Kafka does not answer."""
        if self._consumer is not None:
            return
        client = consumer(self._settings, **_PROMPT)
        try:
            self._ends = self._by_time(client, _LATEST)
            self._next = dict(self._ends)
            if self._back_ms is None:
                self._next = self._by_time(client, _EARLIEST)
            elif self._back_ms > 0:
                found = self._by_time(client, time.time_ns() // 1_000_000 - self._back_ms)
                self._next = {place: end if found[place] < 0 else found[place] for place, end in self._ends.items()}
        except VigilError:
            client.close()
            raise
        client.assign(
            [TopicPartition(self._settings.topic(p.topic), p.partition, offset) for p, offset in self._next.items()]
        )
        self._consumer = client

    def _by_time(self, client: Consumer, time_ms: int) -> dict[Place, int]:
        asked = [
            TopicPartition(name, partition, time_ms)
            for name, topic in self._topics.items()
            for partition in range(topic.partitions)
        ]
        answers = patiently(
            lambda: client.offsets_for_times(asked, timeout=_TIMEOUT_S), "Reading from Kafka", _TIMEOUT_S
        )
        return {Place(self._topics[a.topic].name, a.partition): a.offset for a in answers}

    def read(self, limit: int = 500, wait_s: float = _WAIT_S) -> list[Record]:
        """The next records, at most `limit`, as soon as there are some; empty when none came within `wait_s`.

        `Retryable` when Kafka does not answer: read on, the client connects again and goes on where it was. It is raised
        after the records that came before it.
        """
        with self._reading:
            if self._closed:
                return []
            if self._consumer is None:
                raise RuntimeError("call start() first")
            if self._failure is None:
                # One first: a wait for many would last until its time is over, however many are there.
                records = self._taken(self._consumer.consume(1, timeout=wait_s))
                if records and self._failure is None:
                    records += self._taken(self._consumer.consume(limit - 1, timeout=0) if limit > 1 else [])
                if records or self._failure is None:
                    return records
            failure, self._failure = self._failure, None
            raise failure

    def _taken(self, messages: Sequence[Message]) -> list[Record]:
        records: list[Record] = []
        for message in messages:
            error = message.error()
            if error is None:
                record = as_record(message, self._topics[message.topic() or ""].name)
                self._next[Place(record.topic, record.partition)] = record.offset + 1
                records.append(record)
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
                self._failure = as_vigil_error(error, "Reading from Kafka")
        return records

    async def batches(self, limit: int = 500) -> AsyncIterator[list[Record]]:
        """Batches of records until `close`, read in a thread of their own, through every absence of Kafka."""
        loop = asyncio.get_running_loop()
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kafka-tail")
        try:
            await loop.run_in_executor(executor, self.start)
            while not self._closed:
                try:
                    records = await loop.run_in_executor(executor, self.read, limit)
                except Retryable:
                    continue
                if records:
                    yield records
        finally:
            executor.shutdown(wait=False)  # a read that is still waiting ends by itself; the loop must not wait for it

    @property
    def positions(self) -> Mapping[Place, int]:
        """The next offset of each place."""
        return dict(self._next)

    @property
    def caught_up(self) -> bool:
        """Whether everything that stood in the topics at the start was read."""
        return self._consumer is not None and all(self._next[place] >= end for place, end in self._ends.items())

    def close(self) -> None:
        """End `batches` and free the client; waits for a read that is under way, a quarter of a second at most."""
        self._closed = True
        with self._reading:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None

    def __enter__(self) -> TailReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
