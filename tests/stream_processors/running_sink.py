"""A sink in a thread on a real Kafka, what it is given, and what it has stored and committed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from confluent_kafka import TopicPartition

from contracts.frames import constant, labels
from contracts.partitioning import partition_of
from contracts.readings import Readings, encode_readings
from contracts.scores import Scores, encode_scores
from contracts.ticks import Tick, encode_tick
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, PARTITIONS, READINGS, TICK
from contracts.vitals import INDEX
from contracts.windows import Windows, encode_windows
from infra.runtime.clock import SystemClock
from infra.runtime.health import Health
from infra.runtime.kafka import consumer, producer
from infra.runtime.kafka_clients import patiently
from infra.runtime.metrics import Metrics
from infra.runtime.series import SeriesStore
from infra.runtime.series_sqlite import SqliteSeries
from infra.runtime.series_stores import open_series
from infra.runtime.settings import Settings
from stream_processors.sink import Enrolment, Sink

T0 = 1_772_359_200_000
WITHIN_S = 120.0  # the machine may be busy


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WITHIN_S} s: {what}"
        time.sleep(0.05)


def readings(patient: str, seconds: Sequence[int]) -> bytes:
    n = len(seconds)
    time_ms = T0 + 1000 * np.array(seconds, dtype=np.int64)
    return encode_readings(
        Readings(
            patient=constant(patient, n),
            device=constant(f"d-{patient}", n),
            metric=np.full(n, INDEX["heart_rate"], dtype=np.int16),
            value=np.array(seconds, dtype=np.float32) % 100 + 20,
            time_ms=time_ms,
            received_ms=time_ms,
            boot=np.ones(n, dtype=np.int32),
            seq=np.array(seconds, dtype=np.int64),
            quality=np.zeros(n, dtype=np.uint8),
        )
    )


def windows(patient: str, end_s: int) -> bytes:
    return encode_windows(
        Windows(
            patient=labels([patient]),
            window_end_ms=np.array([T0 + end_s * 1000], dtype=np.int64),
            span_ms=np.array([60_000], dtype=np.int32),
            late=np.zeros(1, dtype=np.int32),
            revised=np.zeros(1, dtype=np.uint8),
            features={"heart_rate.mean": np.array([72], dtype=np.float32)},
        )
    )


def scores(patient: str, end_s: int) -> bytes:
    return encode_scores(
        Scores(
            model="personal_baseline",
            version="1",
            patient=labels([patient]),
            window_end_ms=np.array([T0 + end_s * 1000], dtype=np.int64),
            score=np.array([1.5], dtype=np.float32),
            status=np.zeros(1, dtype=np.uint8),
            contribution={},
            deviation={},
        )
    )


class Sender:
    """Writes to the topics of a deployment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = producer(settings)

    def send(
        self, topic: str, patient: str, value: bytes, kind: str = ARROW_FRAME, partition: int | None = None
    ) -> None:
        self._producer.produce(
            self._settings.topic(topic),
            value,
            partition=partition_of(patient, PARTITIONS) if partition is None else partition,
            headers=[(CONTENT_TYPE, kind.encode())],
        )

    def tick(self, second: int) -> None:
        for partition in range(PARTITIONS):
            value = encode_tick(Tick(tick_ms=T0 + second * 1000, config_version=1))
            self.send(READINGS.name, "", value, TICK, partition)

    def flush(self) -> None:
        assert self._producer.flush(30) == 0


class Running:
    """A sink in a thread of this process."""

    def __init__(self, settings: Settings, open_store: Callable[[], SeriesStore] | None = None) -> None:
        clock = SystemClock()
        self.metrics, self.health = Metrics(), Health()
        self._enrolment = Enrolment(settings.sql_url, clock)
        self._sink = Sink(
            settings, open_store or (lambda: open_series(settings)), self._enrolment, self.metrics, self.health, clock
        )
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._sink.run()
        except BaseException as error:
            self._failure = error

    def stop(self) -> None:
        self._sink.stop()
        self._thread.join(timeout=60)
        self._enrolment.close()
        assert not self._thread.is_alive()
        assert self._failure is None


def stored(settings: Settings, patient: str) -> list[int]:
    """The seconds of which there is a point, in the order of time."""
    store = SqliteSeries(settings.state_dir / "series.db", read_only=True)
    try:
        points = store.query(patient, "heart_rate", T0, T0 + 86_400_000, 100_000)
        assert points.value.tolist() == [(t - T0) // 1000 % 100 + 20 for t in points.time_ms.tolist()]
        return [(t - T0) // 1000 for t in points.time_ms.tolist()]
    finally:
        store.close()


def committed(settings: Settings, topic: str) -> int:
    """How many records of a topic the group has done with."""
    client = consumer(settings, settings.topic("series-sink"))
    try:
        asked = [TopicPartition(settings.topic(topic), p) for p in range(PARTITIONS)]
        parts = patiently(lambda: client.committed(asked, timeout=30), "asking for offsets", WITHIN_S)
        return sum(max(0, part.offset) for part in parts)
    finally:
        client.close()


def counted(running: Running, name: str) -> float:
    """The sum of a metric over its labels."""
    lines = running.metrics.exposition().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))
