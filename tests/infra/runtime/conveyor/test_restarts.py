"""The conveyor on a real broker with real processes: whatever is killed, nothing is lost and no state is wrong.

The oracle: each output carries a sum over the patient's last 50 numbers, so a wrong rebuild shows as a wrong number.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.topics import PARTITIONS, READINGS, REJECTED, SCORES, SNAPSHOTS, WINDOWS, Topic
from infra.local.kafka import LocalKafka
from infra.runtime.kafka import admin, create_topics, producer
from infra.runtime.settings import Settings
from infra.runtime.snapshots import Snapshot, decode_part, encode_snapshot
from infra.runtime.worker import EXIT_FAULT, EXIT_STALLED
from tests.infra.runtime.conveyor.toy_workers import (
    Feed,
    Outputs,
    Workers,
    only_lookback,
    only_snapshots,
    two_topics,
    wait_for,
)


def chaos(workers: Workers, kills: int, *topics: Topic, names: tuple[str, ...] = ("a", "b")) -> None:
    """Workers killed with -9 at random moments and started again at once, numbers flowing all the time."""
    seed = random.SystemRandom().randrange(10**6)
    rng = random.Random(seed)
    sys.stdout.write(f"seed {seed}\n")
    outputs = Outputs(workers.settings)
    workers.start(*names)
    wait_for("ready workers", lambda: all(workers.ready(name) for name in names), workers)
    with Feed(workers.settings, *topics) as feed:
        wait_for("the first output", outputs.look, workers)
        for number in range(kills):
            time.sleep(rng.uniform(0.0, 1.5))
            victim = rng.choice(names)
            workers.kill(victim)
            workers.start(victim)
            if number % 5 != 4:  # now and then one is killed while it starts or warms up
                wait_for("ready workers", lambda: all(workers.ready(name) for name in names), workers)
        wait_for("ready workers", lambda: all(workers.ready(name) for name in names), workers)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers, seconds=60)
    missing, repeated = outputs.count(feed.sent)
    sys.stdout.write(
        f"sent {sum(feed.sent.values())}, lost {missing}, repeated {repeated}, kills {kills}, "
        f"longest gap of a partition {outputs.longest_gap_s():.2f} s, of the whole {outputs.longest_gap_s(whole=True):.2f} s\n"
    )


def test_kill_9_loses_nothing_and_leaves_no_wrong_state(workers: Workers) -> None:
    chaos(workers, 3)


@two_topics
def test_three_workers_keep_the_topics_of_a_partition_together(workers: Workers) -> None:
    chaos(workers, 2, READINGS, WINDOWS, names=("a", "b", "c"))
    client = admin(workers.settings)
    (group,) = client.describe_consumer_groups([workers.settings.topic("toy")]).values()
    members = [{(tp.topic, tp.partition) for tp in m.assignment.topic_partitions} for m in group.result().members]
    names = {workers.settings.topic(topic.name) for topic in (READINGS, WINDOWS)}
    assert sorted(place for member in members for place in member) == sorted(
        (name, partition) for name in names for partition in range(PARTITIONS)
    )
    for member in members:
        assert len({frozenset(p for topic, p in member if topic == name) for name in names}) == 1


@pytest.mark.faults
def test_kill_9_thirty_times(workers: Workers) -> None:
    chaos(workers, 30)


@only_snapshots
def test_a_clean_stop_is_quick_and_repeats_nothing(workers: Workers) -> None:
    outputs = Outputs(workers.settings)
    workers.start("a")
    feed = Feed(workers.settings)
    for _ in range(2):
        feed.send(20)
        wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
        began = time.monotonic()
        workers.running["a"].send_signal(signal.SIGTERM)
        assert workers.running["a"].wait(timeout=10) == 0
        assert time.monotonic() - began < 1.5
        workers.start("a")
    feed.send(20)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    assert outputs.count(feed.sent) == (0, 0)


@only_snapshots
def test_after_a_snapshot_only_what_came_later_is_replayed(workers: Workers) -> None:
    outputs = Outputs(workers.settings)
    feed = Feed(workers.settings)
    workers.start("a")
    feed.send(60)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    wait_for("snapshots", lambda: workers.metric("a", "vigil_snapshots_total") >= PARTITIONS, workers)
    feed.send(3)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    workers.kill("a")
    workers.start("a")
    wait_for("ready worker", lambda: workers.ready("a"), workers)
    assert workers.metric("a", "vigil_replayed_records_total") <= 3 * PARTITIONS
    feed.send(3)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)


@only_snapshots
def test_a_snapshot_that_cannot_be_used_is_refused_and_the_whole_log_is_read(workers: Workers) -> None:
    outputs = Outputs(workers.settings)
    feed = Feed(workers.settings)
    workers.start("a")
    feed.send(60)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    wait_for("snapshots", lambda: workers.metric("a", "vigil_snapshots_total") >= PARTITIONS, workers)
    workers.kill("a")
    kept = Outputs(workers.settings, SNAPSHOTS).look()
    spoil = producer(workers.settings)
    for record in kept:
        offsets = {topic: offset + 1 for topic, offset in decode_part(record.value or b"").offsets.items()}
        for value in (*encode_snapshot(Snapshot(offsets=offsets, state=b"of another release")), b"VSNP damaged"):
            spoil.produce(workers.settings.topic(SNAPSHOTS.name), key=record.key, value=value, partition=record.partition)
    assert spoil.flush(10) == 0
    feed.send(2)
    workers.start("a")
    feed.send(3)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    assert "snapshot unreadable" in workers.log("a")
    assert "snapshot cannot be restored" in workers.log("a")
    assert workers.metric("a", "vigil_replayed_records_total") >= 60 * PARTITIONS


@only_lookback
def test_two_groups_side_by_side_leave_no_gap(workers: Workers) -> None:
    outputs = Outputs(workers.settings)
    workers.start("a", group="left")
    workers.start("b", group="right")
    wait_for("ready workers", lambda: workers.ready("a") and workers.ready("b"), workers)
    with Feed(workers.settings) as feed:
        wait_for("the first output", outputs.look, workers)
        time.sleep(0.5)
        workers.kill("a")
        time.sleep(1.5)
        workers.start("a", group="left")
        wait_for("a ready worker", lambda: workers.ready("a"), workers)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    assert outputs.longest_gap_s() < 1.0


@only_lookback
@pytest.mark.faults
def test_a_blocked_event_loop_is_ended_by_the_watchdog(workers: Workers) -> None:
    workers.start("a")
    feed = Feed(workers.settings)
    feed.send(1)
    wait_for("a ready worker", lambda: workers.ready("a"), workers)
    feed.raw(json.dumps({"patient": "p-1", "n": "block"}).encode(), 1)
    feed.send(1)
    began = time.monotonic()
    assert workers.running["a"].wait(timeout=40) == EXIT_STALLED
    assert time.monotonic() - began < 30


@only_lookback
@pytest.mark.faults
def test_a_stopped_worker_that_comes_back_does_no_harm(workers: Workers) -> None:
    outputs = Outputs(workers.settings)
    workers.start("a", "b")
    wait_for("ready workers", lambda: workers.ready("a") and workers.ready("b"), workers)
    with Feed(workers.settings) as feed:
        for victim in ("a", "b"):
            time.sleep(2)
            workers.running[victim].send_signal(signal.SIGSTOP)
            time.sleep(12)
            workers.running[victim].send_signal(signal.SIGCONT)
        time.sleep(5)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers, seconds=60)
    sys.stdout.write(f"{outputs.count(feed.sent)}, longest gap {outputs.longest_gap_s():.1f} s\n")


@only_lookback
@pytest.mark.faults
def test_two_processes_under_one_name_are_told_so_and_lose_nothing(workers: Workers, tmp_path: Path) -> None:
    outputs = Outputs(workers.settings)
    (tmp_path / "twin").mkdir()
    twin = Workers(workers.settings, "lookback", tmp_path / "twin", workers.free_port)
    workers.start("a")
    wait_for("a ready worker", lambda: workers.ready("a"), workers)
    try:
        with Feed(workers.settings) as feed:
            twin.start("a")
            both = [workers.running["a"], twin.running["a"]]
            wait_for("the end of one", lambda: any(process.poll() is not None for process in both), workers, seconds=90)
        assert sorted(str(process.poll()) for process in both) == [str(EXIT_FAULT), "None"]
        assert "another process runs as instance a" in workers.log("a") + twin.log("a")
        wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    finally:
        twin.running["a"].kill()
        twin.running["a"].wait()


@pytest.fixture
def own_kafka(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[LocalKafka]:
    """A broker that this test may kill."""
    with LocalKafka(data_dir=tmp_path / "kafka", port=free_port()) as found:
        yield found


@pytest.mark.faults
def test_a_broker_that_dies_or_freezes_costs_time_and_nothing_else(
    own_kafka: LocalKafka, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    settings = Settings(kafka_bootstrap_servers=own_kafka.bootstrap_servers, topic_prefix="b-", state_dir=tmp_path)
    create_topics(settings, (READINGS, SCORES, REJECTED))
    workers = Workers(settings, "lookback", tmp_path, free_port)
    outputs = Outputs(settings)
    feed = Feed(settings)
    try:
        workers.start("a", "b")
        wait_for("ready workers", lambda: workers.ready("a") and workers.ready("b"), workers)
        for fault in ("stopped", "killed", "frozen"):
            feed.send(20)
            if fault == "frozen":
                own_kafka.pause()
                time.sleep(9)
                own_kafka.resume()
            else:
                own_kafka.stop() if fault == "stopped" else own_kafka.kill()
                time.sleep(2)
                own_kafka.start()
            began = time.monotonic()
            feed.send(20)
            wait_for(f"every output after it was {fault}", lambda: outputs.count(feed.sent)[0] == 0, workers, seconds=60)
            sys.stdout.write(f"{fault}: everything there again after {time.monotonic() - began:.1f} s\n")
        assert [process.poll() for process in workers.running.values()] == [None, None], "no restart was needed"
    finally:
        for process in workers.running.values():
            process.kill()
            process.wait()
