"""Readings straight into Kafka, with ticks, at any speed: for replays, simulations, tests and benchmarks.

Each second of event time becomes one frame per partition that has rows, then one tick in every partition. Where the log
is cut never depends on the speed, so the log of each partition is the same, byte for byte, at 1x, at 500x and as fast as
it goes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

import numpy as np

from contracts.errors import Retryable, VigilError
from contracts.readings import Readings, encode_readings
from contracts.ticks import Tick, encode_tick
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, READINGS, TICK
from infra.runtime.kafka import as_vigil_error, create_topics, producer
from infra.runtime.settings import Settings
from producers.sources.source import Say, Source, Tally
from producers.split import PartitionCache, split_by_partition

# Rows of one frame: far below the largest message, and part of how the log is cut, so it must not vary.
MAX_FRAME_ROWS: Final = 100_000
FULL_WAIT_S: Final = 0.05
FLUSH_S: Final = 120.0
SAY_EVERY_S: Final = 5.0
_FRAME_HEADERS: Final = [(CONTENT_TYPE, ARROW_FRAME.encode())]
_TICK_HEADERS: Final = [(CONTENT_TYPE, TICK.encode())]


class Producing(Protocol):
    """The part of a Kafka producer that is used here."""

    def produce(
        self,
        topic: str,
        *,
        value: bytes,
        partition: int,
        headers: list[tuple[str, bytes]],
        on_delivery: Callable[[Any, Any], None],
    ) -> None: ...

    def poll(self, timeout: float) -> int: ...

    def flush(self, timeout: float) -> int: ...


def require_topic(settings: Settings) -> None:
    """Raises `VigilError` when `vitals.readings` does not exist, or not with the number of partitions all rooms expect."""
    (state,) = create_topics(settings, [READINGS], dry_run=True)
    if state.action == "created":
        raise VigilError(
            f"The topic {state.topic} does not exist.",
            cause="the topics were not created yet, or the topic prefix is another one",
            fix="vigil topics apply",
        )
    if state.action == "differs":
        raise VigilError(
            f"The topic {state.topic} has another number of partitions ({state.detail}).",
            cause="it was created by other software, or for another release",
            fix="use another VIGIL_TOPIC_PREFIX, or remove the topic if its data is not needed",
        )


class KafkaFeed:
    """Writes seconds of a source and their ticks. `client` must keep the order within a partition and retry by itself."""

    def __init__(self, settings: Settings, *, config_version: int = 0, client: Producing | None = None) -> None:
        # The queue may hold more than a slow broker takes in half a minute: what is queued is not late, it is waiting.
        if client is None:
            client = cast(Producing, producer(settings, **{"linger.ms": 5, "delivery.timeout.ms": int(FLUSH_S * 1000)}))
        self._client = client
        self._topic = settings.topic(READINGS.name)
        self._config_version = config_version
        self._cache = PartitionCache(READINGS.partitions)
        self._failed: VigilError | None = None
        self.tally = Tally()

    def run(
        self,
        source: Source,
        *,
        seconds: int | None,
        speed: float,
        drain_s: int,
        stop: threading.Event,
        say: Say,
        after_second: Callable[[], None] = lambda: None,
    ) -> None:
        """Feed `seconds` (None: until `stop`) at `speed` (0: as fast as it goes), then, unless stopped, `drain_s` seconds of
        ticks alone, without which the last windows would never close. Raises `VigilError` when Kafka does not take something."""
        began = said = time.monotonic()
        done = 0
        while (seconds is None or done < seconds) and not stop.is_set():
            readings = source.step()
            done += 1
            # A second is written when it is over; its tick is the start of the next one.
            self._pace(began, done, speed, stop)
            self._second(readings, source.next_ms)
            self.tally.seconds = done
            after_second()
            if time.monotonic() - said >= SAY_EVERY_S:
                said = time.monotonic()
                say(self.tally.line())
        for extra in range(1, drain_s + 1):
            if stop.is_set():
                break
            self._pace(began, done + extra, speed, stop)
            self._tick(source.next_ms + 1000 * extra)
        self.flush()

    def flush(self) -> None:
        """Wait until Kafka has everything. Raises `VigilError` when it does not get it."""
        left = self._client.flush(FLUSH_S)
        self._raise_failure()
        if left:
            self.tally.dropped = self.tally.sent - self.tally.accepted
            raise Retryable(
                "Kafka did not take everything in time.", cause="the broker is away or too slow", fix="vigil doctor"
            )

    def _pace(self, began: float, second: int, speed: float, stop: threading.Event) -> None:
        if speed <= 0:
            return
        ahead = began + second / speed - time.monotonic()
        if ahead > 0:
            stop.wait(ahead)
        else:
            self.tally.max_lag_s = max(self.tally.max_lag_s, -ahead)

    def _second(self, readings: Readings, tick_ms: int) -> None:
        for partition, part in split_by_partition(readings, self._cache.partitions, self._cache).items():
            for first in range(0, len(part), MAX_FRAME_ROWS):
                piece = part
                if len(part) > MAX_FRAME_ROWS:
                    piece = part.take(np.arange(first, min(first + MAX_FRAME_ROWS, len(part))))
                self.tally.sent += len(piece)
                self._produce(partition, encode_readings(piece), _FRAME_HEADERS, len(piece))
        self._tick(tick_ms)

    def _tick(self, tick_ms: int) -> None:
        value = encode_tick(Tick(tick_ms=tick_ms, config_version=self._config_version))
        for partition in range(self._cache.partitions):
            self._produce(partition, value, _TICK_HEADERS, 0)
        self._client.poll(0)
        self._raise_failure()

    def _produce(self, partition: int, value: bytes, headers: list[tuple[str, bytes]], rows: int) -> None:
        def report(error: Any, _: Any) -> None:
            if error is None:
                self.tally.accepted += rows
            else:
                self.tally.dropped += rows
                if self._failed is None:
                    self._failed = as_vigil_error(error, "Writing readings")

        while True:
            try:
                self._client.produce(self._topic, value=value, partition=partition, headers=headers, on_delivery=report)
            except BufferError:  # the queue is full: the broker sets the pace
                self._client.poll(FULL_WAIT_S)
                self._raise_failure()
            else:
                return

    def _raise_failure(self) -> None:
        """A hole in the log would make it another ward: stop at the first failure."""
        if self._failed is not None:
            raise self._failed
