"""The sink on a real Kafka with a real store: everything is stored, nothing twice, whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import TopicPartition

from contracts.errors import Fatal, InvalidInput, Retryable
from contracts.frames import constant, labels
from contracts.partitioning import partition_of
from contracts.readings import Readings, encode_readings
from contracts.scores import Scores, encode_scores
from contracts.ticks import Tick, encode_tick
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, PARTITIONS, READINGS, SCORES, TICK, TOPICS, WINDOWS
from contracts.vitals import INDEX
from contracts.windows import Windows, encode_windows
from infra.local.ports import free_port
from infra.runtime.clock import SystemClock
from infra.runtime.health import Health
from infra.runtime.kafka import consumer, create_topics, producer
from infra.runtime.kafka_clients import patiently
from infra.runtime.metrics import Metrics
from infra.runtime.series import SeriesStore
from infra.runtime.series_sqlite import SqliteSeries
from infra.runtime.series_stores import open_series
from infra.runtime.settings import Settings
from infra.runtime.sql.engine import open_engine, upgrade
from infra.runtime.sql.patients import PatientStore
from stream_processors import sink as sinks
from stream_processors.enrolment import Enrolment
from stream_processors.sink import Sink

ROOT = Path(__file__).parents[2]
T0 = 1_772_359_200_000
WITHIN_S = 120.0  # the machine may be busy


@pytest.fixture
def settings(kafka: str, prefix: str, tmp_path: Path) -> Settings:
    """A deployment of this test's own."""
    made = Settings(kafka_bootstrap_servers=kafka, topic_prefix=prefix, state_dir=tmp_path)
    create_topics(made, TOPICS)
    upgrade(made.sql_url)
    return made


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


@pytest.fixture
def sender(settings: Settings) -> Sender:
    return Sender(settings)


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


def test_everything_is_stored_and_committed(settings: Settings, sender: Sender) -> None:
    patients = [f"p-{i}" for i in range(12)]
    for patient in patients:
        sender.send(READINGS.name, patient, readings(patient, range(100)))
        sender.send(WINDOWS.name, patient, windows(patient, 60))
        sender.send(SCORES.name, patient, scores(patient, 60))
    sender.send(READINGS.name, "p-0", b"rubbish")
    sender.send(
        READINGS.name, "p-0", readings("p-0", [500]), partition=(partition_of("p-0", PARTITIONS) + 1) % PARTITIONS
    )
    sender.tick(100)
    sender.flush()
    running = Running(settings)
    wait_for(lambda: committed(settings, READINGS.name) == len(patients) + 2 + PARTITIONS, "readings committed")
    wait_for(lambda: committed(settings, SCORES.name) == len(patients), "scores committed")
    assert running.health.ready
    running.stop()
    store = open_series(settings, read_only=True)
    for patient in patients:
        assert stored(settings, patient) == list(range(100))
        assert [w.window_end_ms for w in store.windows(patient, T0, T0 + 100_000, 60_000)] == [T0 + 60_000]
        assert [s.score for s in store.scores(patient, T0, T0 + 100_000)] == [1.5]
    store.close()
    assert counted(running, "vigil_skipped_rows_total") == 2
    assert counted(running, "vigil_stored_rows_total") == 100 * 12 + 12 + 12
    assert counted(running, "vigil_watermark_age_seconds") == pytest.approx(time.time() - T0 / 1000 - 100, abs=600)
    assert counted(running, "vigil_lag_records") == 0
    engine = open_engine(settings.sql_url)
    assert PatientStore(engine).devices("p-3") == ["d-p-3"]
    assert len(PatientStore(engine).all()) == 12
    engine.dispose()


class Unsteady:
    """A real store that does what `trouble` says before it writes."""

    def __init__(self, store: SeriesStore, trouble: Callable[[], None]) -> None:
        self._store, self._trouble = store, trouble

    def write(self, readings: Readings) -> None:
        self._trouble()
        self._store.write(readings)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


@pytest.mark.parametrize("error", [Retryable("away", after_s=0.1), Fatal("damaged")])
def test_while_the_store_is_in_trouble_nothing_is_lost_or_committed(
    settings: Settings, sender: Sender, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "FIRST_WAIT_S", 0.1)
    monkeypatch.setattr(sinks, "LONGEST_WAIT_S", 0.2)
    away = threading.Event()
    away.set()
    attempts: list[float] = []

    def trouble() -> None:
        attempts.append(time.monotonic())
        if away.is_set():
            raise error

    sender.send(READINGS.name, "p-1", readings("p-1", range(50)))
    sender.flush()
    running = Running(settings, lambda: Unsteady(open_series(settings), trouble))  # type: ignore[arg-type,return-value]
    wait_for(lambda: len(attempts) > 3, "several attempts")
    sender.send(READINGS.name, "p-1", readings("p-1", range(50, 90)))
    sender.flush()
    assert not running.health.ready
    assert running.health.state == "waiting for the series store"
    assert running.health.alive()
    assert committed(settings, READINGS.name) == 0
    away.clear()
    wait_for(lambda: committed(settings, READINGS.name) == 2, "both committed")
    wait_for(lambda: running.health.ready, "ready again")
    running.stop()
    assert stored(settings, "p-1") == list(range(90))


def test_rows_that_the_store_refuses_do_not_stop_the_others(settings: Settings, sender: Sender) -> None:
    refusals = [True, False]

    def trouble() -> None:
        if refusals and refusals.pop(0):
            raise InvalidInput("series", "beyond the bucket's retention")

    sender.send(READINGS.name, "p-1", readings("p-1", range(10)))
    sender.flush()
    running = Running(settings, lambda: Unsteady(open_series(settings), trouble))  # type: ignore[arg-type,return-value]
    wait_for(lambda: committed(settings, READINGS.name) == 1, "the refused one is done with")
    sender.send(READINGS.name, "p-1", readings("p-1", range(10, 20)))
    sender.flush()
    wait_for(lambda: committed(settings, READINGS.name) == 2, "and the next one")
    running.stop()
    assert stored(settings, "p-1") == list(range(10, 20))
    assert counted(running, "vigil_skipped_rows_total") == 1


def test_sql_that_is_away_does_not_keep_the_series_waiting(settings: Settings, sender: Sender) -> None:
    there = Settings(
        kafka_bootstrap_servers=settings.bootstrap,
        topic_prefix=settings.topic_prefix,
        state_dir=settings.state_dir,
        database_url=f"postgresql://nobody@127.0.0.1:{free_port()}/vigil",
    )
    sender.send(READINGS.name, "p-1", readings("p-1", range(10)))
    sender.flush()
    running = Running(there)
    wait_for(lambda: committed(settings, READINGS.name) == 1, "committed")
    running.stop()
    assert stored(settings, "p-1") == list(range(10))


def test_a_second_member_takes_its_share_and_nothing_is_missing(settings: Settings, sender: Sender) -> None:
    patients = [f"p-{i}" for i in range(16)]

    def send(start: int) -> None:
        for patient in patients:
            sender.send(READINGS.name, patient, readings(patient, range(start, start + 20)))
        sender.flush()

    send(0)
    one = Running(settings)
    wait_for(lambda: committed(settings, READINGS.name) == 16, "the first part")
    two = Running(settings)
    wait_for(lambda: two.health.ready, "the second member has a share")
    for start in (20, 40, 60):
        send(start)
    wait_for(lambda: committed(settings, READINGS.name) == 64, "all of it")
    one.stop()
    send(80)
    wait_for(lambda: committed(settings, READINGS.name) == 80, "the one that is left has it all")
    two.stop()
    for patient in patients:
        assert stored(settings, patient) == list(range(100))
    assert counted(two, "vigil_stored_rows_total") > 0


class SinkProcess:
    """`python -m stream_processors.sink`."""

    def __init__(self, settings: Settings) -> None:
        self.port = free_port()
        self._log = (settings.state_dir / f"sink-{self.port}.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stream_processors.sink", "--health-port", str(self.port)],
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap,
                "VIGIL_TOPIC_PREFIX": settings.topic_prefix,
                "VIGIL_STATE_DIR": str(settings.state_dir),
            },
        )

    def ready(self) -> bool:
        assert self._process.poll() is None, Path(self._log.name).read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=5) as answer:
                return bool(json.load(answer)["ready"])
        except OSError:
            return False

    def end(self, number: int) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        code = self._process.wait(timeout=60)
        self._log.close()
        return code


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[[], SinkProcess]]:
    """Starts sinks, and ends what is left of them."""
    started: list[SinkProcess] = []

    def begin() -> SinkProcess:
        started.append(SinkProcess(settings))
        return started[-1]

    yield begin
    for process in started:
        process.end(signal.SIGKILL)


def test_a_killed_sink_goes_on_where_it_was_and_a_stopped_one_finishes(
    settings: Settings, sender: Sender, start: Callable[[], SinkProcess]
) -> None:
    total = 0

    def send(parts: int) -> None:
        nonlocal total
        for _ in range(parts):
            sender.send(READINGS.name, "p-1", readings("p-1", range(total, total + 10)))
            total += 10
        sender.flush()

    send(5)
    first = start()
    wait_for(lambda: committed(settings, READINGS.name) == 5, "the first part")
    send(50)
    first.end(signal.SIGKILL)
    second = start()
    wait_for(second.ready, "the second sink takes over")
    send(5)
    wait_for(lambda: committed(settings, READINGS.name) == 60, "everything")
    assert second.end(signal.SIGTERM) == 0
    assert stored(settings, "p-1") == list(range(600))
