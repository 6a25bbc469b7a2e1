"""Several sinks of one group on a real Kafka, and one that is killed: each record is stored, whoever has its partition."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.topics import READINGS
from infra.local.ports import free_port
from infra.runtime.settings import Settings
from tests.stream_processors.running_sink import Running, Sender, committed, counted, readings, stored, wait_for

ROOT = Path(__file__).parents[2]


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
