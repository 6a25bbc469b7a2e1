"""The conveyor on a real broker with real processes: whatever is killed, nothing is lost and no state is wrong.

The oracle: each output carries a sum over the patient's last 50 numbers, so a wrong rebuild shows as a wrong number.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from contracts.topics import PARTITIONS, READINGS, REJECTED, SCORES, SNAPSHOTS, WINDOWS, Topic
from infra.local.kafka import LocalKafka
from infra.runtime.kafka import admin, create_topics, producer
from infra.runtime.log_reader import KafkaLog
from infra.runtime.offsets import Place
from infra.runtime.records import Record
from infra.runtime.settings import Settings
from infra.runtime.snapshots import Snapshot, decode_part, encode_snapshot
from infra.runtime.worker import EXIT_FAULT, EXIT_FLOOD, EXIT_STALLED
from tests.infra.runtime.toy_worker import REMEMBERED

ROOT = Path(__file__).parents[3]


class Workers:
    """Toy workers of one topic prefix."""

    def __init__(self, settings: Settings, recovery: str, folder: Path, free_port: Callable[[], int]) -> None:
        self.settings, self.recovery, self._folder, self.free_port = settings, recovery, folder, free_port
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.ports: dict[str, int] = {}

    def start(self, *instances: str, group: str = "") -> None:
        for instance in instances:
            self.ports[instance] = self.free_port()
            with self._log(instance).open("ab") as log:
                self.running[instance] = subprocess.Popen(
                    [sys.executable, "-m", "tests.infra.runtime.toy_worker", self.recovery, instance,
                     str(self.ports[instance]), group],
                    cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                    env={
                        **os.environ,
                        "KAFKA_BOOTSTRAP_SERVERS": self.settings.bootstrap,
                        "VIGIL_TOPIC_PREFIX": self.settings.topic_prefix,
                    },
                )  # fmt: skip

    def kill(self, instance: str) -> None:
        self.running[instance].kill()
        self.running[instance].wait()

    def ready(self, instance: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[instance]}/health/ready", timeout=2) as answer:
                return bool(json.load(answer)["ready"])
        except OSError:
            return False

    def metric(self, instance: str, name: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[instance]}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def log(self, instance: str) -> str:
        return self._log(instance).read_text()

    def logs(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in self._folder.glob("worker-*.log"))

    def _log(self, instance: str) -> Path:
        return self._folder / f"worker-{instance}.log"


class Feed:
    """Numbers for one patient of each partition, and the ledger of what was sent."""

    def __init__(self, settings: Settings, *topics: Topic) -> None:
        self._settings = settings
        self._topics = topics or (READINGS,)
        self._producer = producer(settings, **{"linger.ms": 0})
        self.sent: dict[tuple[str, str], int] = defaultdict(int)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._flow)

    def send(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            for topic in self._topics:
                for partition in range(PARTITIONS):
                    self.sent[topic.name, f"p-{partition}"] += 1
                    number = self.sent[topic.name, f"p-{partition}"]
                    self.raw(json.dumps({"patient": f"p-{partition}", "n": number}).encode(), partition, topic)
        assert self._producer.flush(20) == 0

    def raw(self, value: bytes, partition: int, topic: Topic = READINGS) -> None:
        self._producer.produce(self._settings.topic(topic.name), value=value, partition=partition)

    def _flow(self) -> None:
        while not self._stop.wait(0.05):
            self.send()

    def __enter__(self) -> Feed:
        """Twenty numbers a second for each patient, until left."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Outputs:
    """What stands on a topic, read further at each look."""

    def __init__(self, settings: Settings, topic: Topic = SCORES) -> None:
        self._log = KafkaLog(settings, settings.topic("checker"))
        self._next = {Place(topic.name, partition): 0 for partition in range(topic.partitions)}
        self.records: list[Record] = []

    def look(self) -> list[Record]:
        ends = self._log.ends(self._next)
        for chunk in self._log.read({place: (start, ends[place]) for place, start in self._next.items()}):
            self.records += chunk
        self._next = ends
        return self.records

    def count(self, sent: dict[tuple[str, str], int]) -> tuple[int, int]:
        """(missing, repeated); fails on a wrong sum."""
        seen: dict[tuple[str, str, int], int] = defaultdict(int)
        for record in self.look():
            found = json.loads(record.value or b"")
            n = found["n"]
            assert found["sum"] == sum(range(max(1, n - REMEMBERED + 1), n + 1)), f"wrong state at {found}"
            seen[found["topic"], found["patient"], n] += 1
        missing = sum((topic, patient, n) not in seen for (topic, patient), last in sent.items() for n in range(1, last + 1))
        return missing, sum(seen.values()) - len(seen)

    def longest_gap_s(self, *, whole: bool = False) -> float:
        """The longest time without an output of some partition, or of any."""
        times: dict[int, list[int]] = defaultdict(list)
        for record in self.records:
            times[0 if whole else record.partition].append(record.timestamp_ms)
        return max((b - a for found in times.values() for a, b in pairwise(sorted(found))), default=0) / 1000


def wait_for(what: str, check: Callable[[], object], workers: Workers, seconds: float = 45) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen in {seconds} s\n{workers.logs()}")
        time.sleep(0.05)


@pytest.fixture
def settings(kafka: str, prefix: str, tmp_path: Path) -> Settings:
    found = Settings(kafka_bootstrap_servers=kafka, topic_prefix=f"{prefix}{time.time_ns()}-", state_dir=tmp_path)
    create_topics(found, (READINGS, WINDOWS, SCORES, REJECTED, SNAPSHOTS))
    return found


@pytest.fixture(params=["lookback", "snapshots"])
def workers(
    request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, free_port: Callable[[], int]
) -> Iterator[Workers]:
    found = Workers(settings, request.param, tmp_path, free_port)
    yield found
    for process in found.running.values():
        process.kill()
        process.wait()


only_lookback = pytest.mark.parametrize("workers", ["lookback"], indirect=True)
only_snapshots = pytest.mark.parametrize("workers", ["snapshots"], indirect=True)
two_topics = pytest.mark.parametrize("workers", ["two-topics"], indirect=True)


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
def test_bad_records_and_bugs_are_put_aside_and_their_neighbours_go_on(workers: Workers) -> None:
    outputs, letters = Outputs(workers.settings), Outputs(workers.settings, REJECTED)
    feed = Feed(workers.settings)
    workers.start("a")
    feed.send(30)
    feed.raw(b"not json", 3)
    feed.raw(json.dumps({"patient": "p-3", "n": "bug"}).encode(), 3)
    feed.send(5)
    feed.raw(json.dumps({"patient": "p-3", "n": "bug"}).encode(), 3)
    feed.send(5)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    wait_for("the letters", lambda: len(letters.look()) == 3, workers)
    found = sorted((dict(r.headers)["reason"], r.value) for r in letters.records)
    bug = json.dumps({"patient": "p-3", "n": "bug"}).encode()
    assert found == [
        (b"is not a number of this test", b"not json"), (b"processing fault", bug), (b"processing fault", bug)
    ]  # fmt: skip
    assert {dict(r.headers)["origin-partition"] for r in letters.records} == {b"3"}
    workers.kill("a")  # the records that fail are met again in the replay, and left out again
    workers.start("a")
    feed.send(5)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    assert "a bug on one record" not in workers.log("a"), "an exception's text may hold a value"


@only_lookback
def test_a_flood_of_bad_records_ends_the_process_before_anything_is_committed(workers: Workers) -> None:
    workers.start("a")
    feed = Feed(workers.settings)
    feed.send(1)
    wait_for("a ready worker", lambda: workers.ready("a"), workers)
    for _ in range(400):
        feed.raw(b"not json", 1)
    feed.send(1)
    assert workers.running["a"].wait(timeout=30) == EXIT_FLOOD
    assert len(Outputs(workers.settings, REJECTED).look()) <= 100


@only_lookback
def test_too_many_bugs_end_the_process(workers: Workers) -> None:
    workers.start("a")
    feed = Feed(workers.settings)
    for _ in range(10):
        feed.raw(json.dumps({"patient": "p-1", "n": "bug"}).encode(), 1)
    feed.send(1)
    assert workers.running["a"].wait(timeout=30) == EXIT_FAULT
    assert "defect" in workers.log("a")


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


@only_lookback
@pytest.mark.faults
def test_without_a_place_for_dead_letters_nothing_is_skipped(workers: Workers) -> None:
    outputs = Outputs(workers.settings)
    feed = Feed(workers.settings)
    workers.start("a")
    feed.send(3)
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    client = admin(workers.settings)
    (gone,) = client.delete_topics([workers.settings.topic(REJECTED.name)]).values()
    gone.result()
    feed.raw(b"not json", 2)
    feed.send(3)
    assert workers.running["a"].wait(timeout=60) == EXIT_FAULT
    create_topics(workers.settings, (REJECTED,))
    workers.start("a")
    wait_for("every output", lambda: outputs.count(feed.sent)[0] == 0, workers)
    letters = Outputs(workers.settings, REJECTED)
    wait_for("the letter", lambda: [r.value for r in letters.look()] == [b"not json"], workers)


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
