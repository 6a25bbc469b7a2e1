"""Real room processes for tests: start, kill, wait until they have caught up, and read what they wrote."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.processes import ALLOCATOR
from contracts.topics import READINGS, SCORES, TOPICS, WINDOWS
from infra.local.ports import free_port
from infra.runtime.kafka import create_topics
from infra.runtime.records import Record
from infra.runtime.settings import Settings, environment
from tests.topic_log import read_topic, uncommitted

ROOT = Path(__file__).parents[1]
ALL_ROOMS = ("gateway", "processors", "sink", "inference", "alerting", "api")
INPUTS = {
    "processors": (READINGS,),
    "inference": (WINDOWS,),
    "alerting": (READINGS, SCORES),
    "sink": (READINGS, WINDOWS, SCORES),
}
GROUPS = {"sink": "series-sink"}  # where the consumer group is not called as the room is


class Rooms:
    """Processes of one deployment: one topic prefix, one state folder."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._running: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self._health_ports: dict[tuple[str, str], int] = {}
        create_topics(settings, TOPICS)

    def start(self, room: str, instance: str = "0") -> None:
        arguments: list[str] = []
        if room == "gateway":
            port = self.settings.gateway_port
        elif room == "api":
            port = self.settings.api_port
        else:
            port = free_port()
            arguments = ["--instance", instance, "--health-port", str(port)]
        self._health_ports[room, instance] = port
        self._launch(room, instance, ["cli.rooms", room, *arguments])

    def pid(self, room: str, instance: str = "0") -> int:
        """Process id, for measuring."""
        return self._running[room, instance].pid

    def health_url(self, room: str, instance: str = "0") -> str:
        """Where it says how it is."""
        return f"http://127.0.0.1:{self._health_ports[room, instance]}"

    def ready(self, room: str, instance: str = "0") -> bool:
        """Whether it says that it takes part."""
        try:
            with urllib.request.urlopen(f"{self.health_url(room, instance)}/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def command(self, name: str, *arguments: str) -> None:
        """`vigil` with these arguments, until the deployment is closed."""
        self._launch(name, "0", ["cli", *arguments])

    def _launch(self, name: str, instance: str, module: list[str]) -> None:
        log = (self.settings.state_dir / f"{name}-{instance}.log").open("ab")
        self._running[name, instance] = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment(self.settings), **ALLOCATOR},  # as the deployment starts them
        )

    def kill(self, room: str, instance: str = "0") -> None:
        """kill -9."""
        self._running[room, instance].kill()
        self._running[room, instance].wait()

    def stop(self, room: str, instance: str = "0") -> int:
        self._running[room, instance].send_signal(signal.SIGTERM)
        return self._running[room, instance].wait(timeout=20)

    def close(self) -> None:
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()

    def logs(self) -> str:
        return "\n".join(f"--- {p.name}\n{p.read_text()[-2500:]}" for p in sorted(self.settings.state_dir.glob("*.log")))

    def wait(self, what: str, check: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: not within {seconds} s\n{self.logs()}")
            time.sleep(0.1)

    def caught_up(self, *rooms: str) -> bool:
        """Whether the groups of these rooms have committed everything there is to read, upstream first."""
        return all(self.lag(room) == 0 for room in rooms)

    def lag(self, room: str) -> int:
        """Records on the topics of this room that its group has not committed."""
        return uncommitted(self.settings, GROUPS.get(room, room), [topic.name for topic in INPUTS[room]])

    def read(self, topic: str) -> list[Record]:
        """Everything on `topic` now, partition by partition."""
        return read_topic(self.settings, topic)


def settings_on(kafka: str, prefix: str, state_dir: Path, **more: Any) -> Settings:
    """Settings of a deployment of its own on this broker, with free ports and a state folder that is there. `more`: what
    is not as in a demo."""
    state_dir.mkdir(parents=True, exist_ok=True)
    places = {
        "kafka_bootstrap_servers": kafka, "topic_prefix": prefix, "state_dir": state_dir, "api_port": free_port(),
        "gateway_port": free_port(), "metrics_port": free_port(20), "demo": True,
    }  # fmt: skip
    return Settings(**{**places, **more})


@contextmanager
def rooms(kafka: str, prefix: str, state_dir: Path) -> Iterator[Rooms]:
    """A deployment of its own on the shared broker."""
    found = Rooms(settings_on(kafka, prefix, state_dir))
    try:
        yield found
    finally:
        found.close()
