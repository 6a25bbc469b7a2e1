"""Fixtures for every room: one real Kafka for the whole run, and free ports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from infra.local.file_lock import FileLock
from infra.local.ports import free_port as find_free_port

ROOT = Path(__file__).parents[1]
# Files that take a minute or so begin first: a process that ended with one of them would keep the others waiting.
LONG = (
    "infra/local/test_kafka.py", "producers/gateway/test_with_kafka.py", "infra/runtime/conveyor/test_restarts.py",
    "browser/test_wall.py", "api/test_live_peers.py", "api/test_live.py",
    "cli/test_stack.py", "faults/test_everyday.py", "stream_processors/test_sink.py", "faults/test_canary.py",
    "replay/test_same_log.py", "stream_processors/test_determinism.py", "end_to_end/test_chain.py",
    "stream_processors/test_sink_members.py", "infra/runtime/test_kafka.py", "producers/sources/test_simulate_through_gateway.py",
    "producers/sources/test_gateway_feed.py", "stream_processors/test_oracle.py", "producers/sources/test_ward.py",
    "producers/sources/test_truth_against_alerting.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {ROOT / "tests" / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path, len(LONG)))


@pytest.fixture(scope="session", autouse=True)
def logs_of_the_test_process() -> Iterator[None]:
    """A command that runs inside a test sets up the logs of its process, and its level would hold for every test after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structlog, "configure", lambda **_: None)
        yield


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Bootstrap servers of a real Kafka shared by all test processes of this run. It ends with the run."""
    given = os.environ.get("VIGIL_TEST_KAFKA")
    if given:
        return given
    base, alone = tmp_path_factory.getbasetemp(), "PYTEST_XDIST_WORKER" not in os.environ
    shared = base if alone else base.parent
    run = os.getpid() if alone else os.getppid()
    said = shared / f"kafka-{run}.json"
    lock = FileLock(shared / "kafka.lock")
    assert lock.acquire(timeout_s=300)
    try:
        if not said.exists():
            _start_holder(shared, said, run)
    finally:
        lock.release()
    return str(json.loads(said.read_text())["bootstrap_servers"])


def _start_holder(shared: Path, said: Path, run: int) -> None:
    log = shared / "kafka-holder.log"
    with log.open("wb") as output:
        holder = subprocess.Popen(
            [sys.executable, "-m", "tests.kafka_holder", str(shared / "kafka"), str(said), str(run)],
            stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + 300  # the first run on a machine downloads Kafka
    while not said.exists():
        if holder.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Kafka for the tests did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)


@pytest.fixture
def free_port() -> Callable[..., int]:
    """A port on loopback that nothing listens on, or the first of so many in a row."""
    return find_free_port


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """A topic prefix of this test's own, so that tests share the broker and nothing else."""
    return f"t{os.getpid()}-{abs(hash(request.node.nodeid)) % 10**8}-"
