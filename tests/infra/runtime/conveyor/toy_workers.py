"""Toy workers on a real broker: processes that can be killed, numbers for them, and the check of what they said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from contracts.topics import PARTITIONS, READINGS, SCORES, Topic
from infra.runtime.kafka import producer
from infra.runtime.log_reader import KafkaLog
from infra.runtime.offsets import Place
from infra.runtime.records import Record
from infra.runtime.settings import Settings
from tests.infra.runtime.conveyor.toy_worker import REMEMBERED

ROOT = Path(__file__).parents[4]
only_lookback = pytest.mark.parametrize("workers", ["lookback"], indirect=True)
only_snapshots = pytest.mark.parametrize("workers", ["snapshots"], indirect=True)
two_topics = pytest.mark.parametrize("workers", ["two-topics"], indirect=True)


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
                    [sys.executable, "-m", "tests.infra.runtime.conveyor.toy_worker", self.recovery, instance,
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
