"""Ways in, each keeping the ledger: through the gateway as a device does, or straight to Kafka."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Any, Protocol

import httpx2
import numpy as np

from contracts.readings import Readings, concat, encode_readings
from contracts.ticks import Tick, encode_tick
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, READINGS, TICK
from infra.runtime.kafka import producer
from infra.runtime.settings import Settings
from producers.split import PartitionCache, split_by_partition
from tests.faults.harness.ledger import Ledger, now_ms
from tests.faults.harness.ward import Ward

PARTS = 10
AT_ONCE = 50  # blocks in one request, as a device that catches up


class Sender(Protocol):
    def put(self, readings: Readings) -> None: ...

    def tick(self) -> None: ...


class GatewaySender:
    """Stores and forwards: oldest first, the same readings again until they are answered. 200 is the promise."""

    def __init__(self, url: str, ledger: Ledger, *, timeout_s: float = 5.0) -> None:
        self._url, self._ledger, self._timeout_s = f"{url}/v1/readings", ledger, timeout_s
        self._waiting: deque[tuple[int, Readings]] = deque()
        self._more = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)
        self.refused = self.rejected = self.duplicates = 0
        self.longest_refusal_s = 0.0
        self.on_answer: Callable[[int], object] = lambda _: None
        self._thread.start()

    def put(self, readings: Readings) -> None:
        block = self._ledger.sent(readings)
        with self._more:
            self._waiting.append((block, readings))
            self._more.notify()

    def tick(self) -> None:
        """The gateway writes the ticks."""

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def drain(self, timeout_s: float = 60.0) -> None:
        """Return when everything was answered."""
        with self._more:
            assert self._more.wait_for(lambda: not self._waiting, timeout_s), f"{self.waiting} blocks are not answered"

    def close(self) -> None:
        with self._more:
            self._closing = True
            self._more.notify()
        self._thread.join(self._timeout_s + 2)

    def _run(self) -> None:
        with httpx2.Client(timeout=self._timeout_s, trust_env=False) as client:
            while True:
                with self._more:
                    self._more.wait_for(lambda: self._waiting or self._closing)
                    if self._closing:
                        return
                    oldest = list(islice(self._waiting, AT_ONCE))
                if self._post(client, oldest):
                    with self._more:
                        for _ in oldest:
                            self._waiting.popleft()
                        self._more.notify_all()
                elif self._closing:
                    return
                else:
                    time.sleep(0.1)  # a device waits before it tries again

    def _post(self, client: httpx2.Client, oldest: Sequence[tuple[int, Readings]]) -> bool:
        began, payload = time.monotonic(), encode_readings(concat([readings for _, readings in oldest]))
        try:
            answer = client.post(self._url, content=payload, headers={CONTENT_TYPE: ARROW_FRAME})
        except httpx2.TransportError:
            return False
        if answer.status_code != 200:
            assert answer.status_code == 503, f"status {answer.status_code}"
            self.refused += 1
            self.longest_refusal_s = max(self.longest_refusal_s, time.monotonic() - began)
            return False
        for block, _ in oldest:
            self._ledger.acked(block)
        document = answer.json()
        self.rejected += len(document["rejected"])
        self.duplicates += document["duplicates"]
        self.on_answer(len(oldest))
        return True


class KafkaSender:
    """Straight to `vitals.readings`, with ticks of its own. Kafka's delivery report is the promise."""

    def __init__(self, settings: Settings, ledger: Ledger, **options: Any) -> None:
        self._topic, self._ledger = settings.topic(READINGS.name), ledger
        self._producer = producer(settings, **{"linger.ms": 2, **options})
        self._cache = PartitionCache(READINGS.partitions)
        self.failed = 0

    def put(self, readings: Readings) -> None:
        for partition, part in split_by_partition(readings, READINGS.partitions, self._cache).items():
            stamped = replace(part, received_ms=np.maximum(part.time_ms, part.received_ms))
            block = self._ledger.sent(stamped)
            self.raw(encode_readings(stamped), partition, ARROW_FRAME, lambda block=block: self._ledger.acked(block))  # type: ignore[misc]

    def tick(self, tick_ms: int | None = None, version: int = 0) -> None:
        value = encode_tick(Tick(tick_ms=now_ms() if tick_ms is None else tick_ms, config_version=version))
        for partition in range(READINGS.partitions):
            self.raw(value, partition, TICK)

    def raw(
        self,
        value: bytes | None,
        partition: int,
        content_type: str | None,
        kept: Callable[[], None] = lambda: None,
        key: bytes | None = None,
    ) -> None:
        """Any message at all."""
        headers: Any = [] if content_type is None else [(CONTENT_TYPE, content_type.encode())]

        def report(error: Any, _: Any) -> None:
            if error is None:
                kept()
            else:
                self.failed += 1

        while True:
            try:
                self._producer.produce(
                    self._topic, value=value, key=key, partition=partition, headers=headers, on_delivery=report
                )
            except BufferError:
                self._producer.poll(0.05)
            else:
                self._producer.poll(0)
                return

    def flush(self, timeout_s: float = 60.0) -> None:
        assert self._producer.flush(timeout_s) == 0


class Flow:
    """A ward that measures in real time, in ten parts a second, until left; seconds go on counting over pauses."""

    def __init__(self, ward: Ward, sender: Sender, *, start_ms: int | None = None) -> None:
        self.ward, self._sender = ward, sender
        self.start_ms = now_ms() // 1000 * 1000 if start_ms is None else start_ms
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"ward-{ward.name}", daemon=True)
        self.seconds = 0
        self.last_ms = 0

    def _run(self) -> None:
        step = 0
        while True:
            number, part = divmod(step, PARTS)
            due_s = (self.start_ms + number * 1000 + part * (1000 // PARTS)) / 1000
            if self._stop.wait(max(0.0, due_s - time.time())):
                return
            if part == 0:
                self._sender.tick()
            readings = self.ward.second(number, self.start_ms, part, PARTS)
            if len(readings):
                # A reading is sent once it was measured, not before.
                moved = replace(readings, time_ms=np.minimum(readings.time_ms, round(due_s * 1000)))
                self._sender.put(moved)
                self.last_ms = now_ms()
            self.seconds = number + 1
            step += 1

    def __enter__(self) -> Flow:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(10)
