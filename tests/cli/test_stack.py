"""Starting the stack: what is refused before anything starts, and a real start with its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from cli import state_folder
from cli.processes import WORKER_PORTS, child_environment
from cli.stack import check_before_start, has_display
from contracts.errors import VigilError
from infra.runtime.settings import Settings, load


@pytest.fixture
def settings(tmp_path: Path, free_port: Callable[..., int]) -> Settings:
    return load(
        {
            "state_dir": tmp_path / "state",
            "api_port": free_port(),
            "gateway_port": free_port(),
            "kafka_port": free_port(),
            "metrics_port": free_port(8),
        }
    )


def test_a_busy_port_is_told_before_anything_starts(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.gateway_port))
        other.listen(1)
        with pytest.raises(VigilError) as caught:
            check_before_start(settings)
    assert str(settings.gateway_port) in caught.value.message
    assert "--gateway-port" in caught.value.fix


def test_one_port_for_two_things_is_told(settings: Settings) -> None:
    with pytest.raises(VigilError, match="set for two things"):
        check_before_start(settings.model_copy(update={"gateway_port": settings.api_port}))


def test_nobody_listens_beyond_this_machine(settings: Settings) -> None:
    with pytest.raises(VigilError, match=r"0\.0\.0\.0"):
        check_before_start(settings.model_copy(update={"host": "0.0.0.0"}))


@pytest.mark.parametrize(
    ("environment", "platform", "shown"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "10.0.0.1 5 10.0.0.2 22"}, "darwin", False),
        ({}, "win32", True),
    ],
)
def test_a_browser_is_opened_where_there_is_a_display(environment: dict[str, str], platform: str, shown: bool) -> None:
    assert has_display(environment, platform) is shown


def test_a_real_demo_lives_and_stops_in_order(
    settings: Settings, kafka: str, prefix: str, tmp_path: Path
) -> None:
    environment = os.environ | child_environment(settings)
    environment |= {"KAFKA_BOOTSTRAP_SERVERS": kafka, "VIGIL_TOPIC_PREFIX": prefix}
    vigil = subprocess.Popen(
        [sys.executable, "-P", "-m", "cli", "demo", "--json", "--beds", "3", "--recorded", "1"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    watchdog = threading.Timer(150, vigil.kill)
    watchdog.start()
    try:
        assert vigil.stdout is not None
        states: dict[str, tuple[str, int]] = {}
        for line in vigil.stdout:
            document = json.loads(line)
            if document["type"] == "process":
                states[document["name"]] = (document["state"], document["pid"])
            if document["type"] == "ready":
                break
        rooms = ("gateway", "processors", "sink", "inference", "alerting", "api", "reach")
        assert {name: states[name][0] for name in rooms} == dict.fromkeys(rooms, "ready")
        url = document["url"]
        assert url == f"http://127.0.0.1:{settings.api_port}"
        living = wait_for_living_patients(url, 4)
        assert {patient["name"] is not None for patient in living} == {True}
        pids = [pid for _, pid in states.values() if pid is not None]
        assert all(psutil.pid_exists(pid) for pid in pids)
        vigil.send_signal(signal.SIGTERM)
        rest = [json.loads(line) for line in vigil.stdout]
        assert vigil.wait(60) == 0
        assert rest[-1]["message"] == "Stopped"
        assert {d["state"] for d in rest if d["type"] == "process"} <= {"ready", "stopped"}
        assert not [pid for pid in pids if psutil.pid_exists(pid)]
    finally:
        watchdog.cancel()
        vigil.kill()
        vigil.communicate()


def test_a_kafka_that_was_named_and_is_away_is_told_before_anything_starts(
    settings: Settings, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    done = run_cli("up", environment=child_environment(settings) | {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"})
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "KAFKA_BOOTSTRAP_SERVERS" in done.stderr
    assert "Traceback" not in done.stderr
    assert "gateway" not in done.stdout


def test_a_local_kafka_that_cannot_start_ends_the_attempt_with_the_reason(settings: Settings) -> None:
    damaged = settings.state_dir / "kafka" / "data"
    damaged.mkdir(parents=True)  # no meta.properties: not what Kafka left
    done = run_cli("up", environment=child_environment(settings) | {"KAFKA_BOOTSTRAP_SERVERS": ""})
    assert done.returncode == 1
    assert "The local Kafka cannot be started" in done.stderr
    assert "meta.properties" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(damaged.iterdir()) == []  # nothing was deleted or formatted over it


def test_a_second_vigil_on_the_same_folder_is_refused(settings: Settings) -> None:
    lock = state_folder.hold(settings.state_dir)
    done = run_cli("up", environment=child_environment(settings))
    lock.release()
    assert done.returncode == 1
    assert f"in use by process {os.getpid()}" in " ".join(done.stderr.split())


def run_cli(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "cli", *arguments],
        capture_output=True, text=True, timeout=120, env=os.environ | environment | {"COLUMNS": "400"},
    )  # fmt: skip


def wait_for_living_patients(url: str, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(f"{url}/api/v1/patients", timeout=5) as answer:
            living = [patient for patient in json.load(answer)["items"] if patient["latest"]]
        if len(living) >= count:
            return living
        assert time.monotonic() < deadline, f"{len(living)} of {count} patients have values"
        time.sleep(0.2)


def test_two_workers_of_a_room_are_ready_and_share_the_partitions(
    settings: Settings, kafka: str, prefix: str, tmp_path: Path, free_port: Callable[..., int]
) -> None:
    there = settings.model_copy(update={"metrics_port": free_port(18)})
    environment = os.environ | child_environment(there)
    environment |= {"KAFKA_BOOTSTRAP_SERVERS": kafka, "VIGIL_TOPIC_PREFIX": prefix}
    vigil = subprocess.Popen(
        [sys.executable, "-P", "-m", "cli", "up", "--json", "--workers", "2"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    watchdog = threading.Timer(150, vigil.kill)
    watchdog.start()
    try:
        assert vigil.stdout is not None
        ready: dict[str, str] = {}
        for line in vigil.stdout:
            document = json.loads(line)
            if document["type"] == "process":
                ready[document["name"]] = document["state"]
            if document["type"] == "ready":
                break
        shared = ("processors", "inference", "alerting")
        assert {name: ready[name] for room in shared for name in (room, f"{room}-1")} == dict.fromkeys(
            (name for room in shared for name in (room, f"{room}-1")), "ready"
        )
        for offset in (2, 4, 5):
            wait_for_partitions([there.metrics_port + offset, there.metrics_port + offset + WORKER_PORTS])
        vigil.send_signal(signal.SIGTERM)
        vigil.stdout.read()
        assert vigil.wait(60) == 0
    finally:
        watchdog.cancel()
        vigil.kill()
        vigil.communicate()


def wait_for_partitions(ports: list[int]) -> None:
    deadline = time.monotonic() + 60
    while (found := [partitions(port) for port in ports]) != [4, 4]:
        assert time.monotonic() < deadline, f"the partitions are shared {found}"
        time.sleep(0.2)


def partitions(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("vigil_partitions "))


def test_more_workers_than_partitions_are_refused(settings: Settings) -> None:
    done = run_cli("up", "--workers", "9", environment=child_environment(settings))
    assert done.returncode != 0
    assert "--workers" in done.stderr
    assert "8" in done.stderr
    assert "Traceback" not in done.stderr
