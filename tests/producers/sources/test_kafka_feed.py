"""Feeding Kafka: the log of each partition depends on the source alone, not on speed, batching or back-pressure."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from contracts.errors import Retryable, VigilError
from contracts.partitioning import partition_of
from contracts.readings import Readings, concat, decode_readings
from contracts.ticks import decode_tick
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, PARTITIONS, READINGS, TICK
from contracts.vitals import BATTERY
from infra.runtime.kafka import create_topics
from infra.runtime.settings import Settings
from producers.sources import feed, kafka_feed
from producers.sources.kafka_feed import KafkaFeed
from producers.sources.ward import Ward
from tests.topic_log import read_topic

START_MS = 1_767_225_600_000
Log = dict[int, list[tuple[str, bytes]]]


class Client:
    """A producer that keeps everything; `full_every` makes its queue full now and then, `lose` loses one message."""

    def __init__(self, full_every: int = 0, lose: int = 0) -> None:
        self.log: Log = defaultdict(list)
        self.topics: set[str] = set()
        self.polls = 0
        self._full_every, self._lose, self._calls, self._taken = full_every, lose, 0, 0
        self._reports: list[Callable[[], None]] = []

    def produce(
        self,
        topic: str,
        *,
        value: bytes,
        partition: int,
        headers: list[tuple[str, bytes]],
        on_delivery: Callable[[Any, Any], None],
    ) -> None:
        self._calls += 1
        if self._full_every and self._calls % self._full_every == 0:
            raise BufferError
        self._taken += 1
        self.topics.add(topic)
        assert [name for name, _ in headers] == [CONTENT_TYPE]
        error = Lost() if self._taken == self._lose else None
        if error is None:
            self.log[partition].append((headers[0][1].decode(), value))
        self._reports.append(lambda: on_delivery(error, None))

    def poll(self, timeout: float) -> int:
        self.polls += 1
        reports, self._reports = self._reports, []
        for report in reports:
            report()
        return len(reports)

    def flush(self, timeout: float) -> int:
        self.poll(timeout)
        return 0


class Lost:
    """Looks like the client's error for a message that was never delivered."""

    def code(self) -> int:
        return -192

    def name(self) -> str:
        return "_MSG_TIMED_OUT"

    def fatal(self) -> bool:
        return False


def run(client: Client, *, beds: int = 12, seconds: int = 5, speed: float = 0, drain_s: int = 3) -> KafkaFeed:
    fed = KafkaFeed(Settings(topic_prefix="x-"), config_version=7, client=client)
    fed.run(
        Ward(beds, 1, "calm", START_MS), seconds=seconds, speed=speed, drain_s=drain_s, stop=threading.Event(),
        say=lambda _: None,
    )  # fmt: skip
    return fed


def rows(readings: Readings) -> list[tuple[str, int, int, float]]:
    return sorted(
        zip(
            readings.device.tolist(), readings.seq.tolist(), readings.time_ms.tolist(), readings.value.tolist(), strict=True
        )
    )


def test_each_second_is_a_frame_and_then_a_tick_in_every_partition() -> None:
    client = Client()
    fed = run(client)
    assert client.topics == {"x-vitals.readings"}
    assert set(client.log) == set(range(PARTITIONS))
    everything = []
    for partition, messages in client.log.items():
        ticks = [decode_tick(value) for kind, value in messages if kind == TICK]
        assert [t.tick_ms for t in ticks] == [START_MS + 1000 * (s + 1) for s in range(8)]
        assert {t.config_version for t in ticks} == {7}
        newest = 0
        for kind, value in messages:
            if kind == TICK:
                newest = decode_tick(value).tick_ms
                continue
            assert kind == ARROW_FRAME
            readings = decode_readings(value)
            everything.append(readings)
            assert {partition_of(p, PARTITIONS) for p in readings.patient.tolist()} == {partition}
            assert (readings.time_ms >= newest).all(), "a second is complete when its tick stands in the log"
            assert (readings.received_ms == max(newest, START_MS) + 1000).all()
    whole = concat(list(Ward(12, 1, "calm", START_MS).seconds(5)))
    assert rows(concat(everything)) == rows(whole)
    assert fed.tally.sent == fed.tally.accepted == len(whole)
    assert np.count_nonzero(whole.metric != BATTERY) == 480
    assert fed.tally.seconds == 5


@pytest.mark.parametrize("options", [{"full_every": 3}, {"full_every": 7}])
def test_back_pressure_changes_nothing_in_the_log(options: dict[str, int]) -> None:
    free, pressed = Client(), Client(**options)
    run(free)
    run(pressed)
    assert pressed.log == free.log
    assert pressed.polls > free.polls


def test_the_log_does_not_depend_on_the_speed() -> None:
    logs = []
    for speed in (0.0, 60.0, 240.0):
        client = Client()
        fed = run(client, seconds=20, speed=speed)
        logs.append(client.log)
        assert fed.tally.seconds == 20
    assert logs[0] == logs[1] == logs[2]


def test_large_frames_are_cut_the_same_way_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_feed, "MAX_FRAME_ROWS", 10)
    client = Client()
    run(client)
    frames = [decode_readings(v) for messages in client.log.values() for kind, v in messages if kind == ARROW_FRAME]
    assert max(len(f) for f in frames) == 10
    assert rows(concat(frames)) == rows(concat(list(Ward(12, 1, "calm", START_MS).seconds(5))))


def test_a_message_that_is_lost_ends_the_run() -> None:
    with pytest.raises(Retryable, match="Writing readings"):
        run(Client(lose=20))


def test_a_stopped_run_writes_no_ticks_of_a_time_to_come() -> None:
    client, stop = Client(), threading.Event()
    fed = KafkaFeed(Settings(), client=client)
    fed.run(
        Ward(2, 1, "calm", START_MS), seconds=None, speed=0, drain_s=30, stop=stop, say=lambda _: None,
        after_second=stop.set,
    )  # fmt: skip
    assert [decode_tick(v).tick_ms for kind, v in client.log[0] if kind == TICK] == [START_MS + 1000]


# With the real broker.


def read_log(settings: Settings) -> Log:
    """All messages of the topic, partition by partition."""
    log: Log = {p: [] for p in range(PARTITIONS)}
    for record in read_topic(settings, READINGS.name):
        assert record.key is None
        log[record.partition].append((dict(record.headers)[CONTENT_TYPE].decode(), record.value or b""))
    return log


def test_the_log_in_kafka_is_the_same_at_any_speed(kafka: str, prefix: str) -> None:
    logs: list[Log] = []
    for speed in (0, 60, 240):
        settings = Settings(kafka_bootstrap_servers=kafka, topic_prefix=f"{prefix}{speed}-")
        create_topics(settings, [READINGS])
        said: list[str] = []
        summary = feed.simulate(
            settings, beds=40, scenario="storm", seed=9, speed=speed, duration_s=60, via="kafka", start_ms=START_MS,
            on_progress=said.append, drain_s=5,
        )  # fmt: skip
        assert said[0] == "Simulated ward (demo data, no patients): 40 beds, scenario storm, seed 9."
        assert summary.sent == summary.accepted > 15_000
        assert (summary.dropped, summary.seconds, summary.seed) == (0, 60, 9)
        logs.append(read_log(settings))
    assert logs[0] == logs[1] == logs[2]
    assert [len([1 for kind, _ in logs[0][p] if kind == TICK]) for p in range(PARTITIONS)] == [65] * PARTITIONS
    frames = [decode_readings(v) for m in logs[0].values() for kind, v in m if kind == ARROW_FRAME]
    assert rows(concat(frames)) == rows(concat(list(Ward(40, 9, "storm", START_MS).seconds(60))))


def test_a_missing_topic_is_said_before_anything_is_sent(kafka: str, prefix: str) -> None:
    settings = Settings(kafka_bootstrap_servers=kafka, topic_prefix=f"{prefix}nowhere-")
    with pytest.raises(VigilError) as failed:
        feed.simulate(settings, beds=2, scenario="calm", seed=1, speed=0, duration_s=2, via="kafka")
    assert "does not exist" in failed.value.message
    assert failed.value.fix == "vigil topics apply"
