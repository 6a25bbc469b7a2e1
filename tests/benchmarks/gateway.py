"""`vigil bench gateway`: what one gateway acknowledges, in front of a real Kafka.

A reading counts when its sender has the answer, which comes when Kafka has the reading (acks=all, idempotent).

`http_single_per_second`, `websocket_single_per_second`, `batch_values_per_second`, `json_batch_values_per_second`:
readings ÷ CPU-seconds (user + system) of the gateway's process, so readings a second of one core. Single: one reading a
request on 256 connections, or a message on four WebSockets with 256 under way each. Batch: 10,000 readings a request, as
Arrow, and as JSON. `*_wall_per_second`: by the clock, while the senders and the broker share the machine.
The rival is `tests.benchmarks.rivals_gateway` under the same load.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx2
import psutil

from contracts.topics import READINGS
from infra.local.kafka import LocalKafka
from infra.local.ports import free_port
from infra.runtime.kafka import create_topics
from infra.runtime.settings import Settings, environment
from tests.benchmarks.gateway_loads import CONNECTIONS, DEVICES, LOADS, PIPELINED, ROWS, STREAMS
from tests.benchmarks.result import Result, figure

Say = Callable[[str], None]
Program = Callable[[Settings, int], list[str]]

_ROOT: Final = Path(__file__).parents[2]
_RIVAL: Final = "fastapi_pydantic"
_RIVAL_LOADS: Final = ("http_single", "websocket_single", "json_batch_values")
_WARM_UP_S: Final = 1.5
_GOALS: Final = {
    "http_single_per_second": "5,000",
    "websocket_single_per_second": "30,000",
    "batch_values_per_second": "300,000",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """What may be asked of this benchmark."""
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bootstrap", default="", help="a Kafka to use; one of its own is started without")
    parser.add_argument("--only", action="append", default=[], choices=LOADS, help="this load alone; may be repeated")
    parser.add_argument("--no-rivals", action="store_true", help="leave out the rival")


def run(given: argparse.Namespace, say: Say) -> Result:
    """Measure: about a minute and a half with the defaults."""
    chosen = given.only or list(LOADS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigil-bench-")))
        bootstrap = given.bootstrap or _own_kafka(stack, folder, say)
        settings = Settings(kafka_bootstrap_servers=bootstrap, topic_prefix=f"bench{os.getpid()}-", state_dir=folder)
        create_topics(settings, [READINGS])
        measured = measure(_gateway, settings, chosen, given.seconds, given.repeats, say)
        rivals = {}
        if not given.no_rivals:
            say(f"rival {_RIVAL}")
            theirs = [name for name in _RIVAL_LOADS if name in chosen]
            rivals[_RIVAL] = measure(_rival, settings, theirs, given.seconds, given.repeats, say)
    return Result(
        name="gateway",
        inputs={
            "seconds": given.seconds, "repeats": given.repeats, "devices": DEVICES, "connections": CONNECTIONS,
            "streams": STREAMS, "under_way": PIPELINED, "rows_per_batch": ROWS,
        },
        figures=_figures(measured),
        rivals={name: _figures(found) for name, found in rivals.items()},
        goals=_GOALS,
        notes=["per second of one core: acknowledged readings ÷ CPU-seconds of the gateway's process"],
    )  # fmt: skip


def measure(
    program: Program, settings: Settings, chosen: Sequence[str], seconds: float, repeats: int, say: Say
) -> dict[str, list[float]]:
    """Figures of one server by name, one a repetition. The loads take turns, so that a busy minute does not hit one alone."""
    found: dict[str, list[float]] = {}
    port = free_port()
    with _running(program(settings, port), settings, port) as process:
        for name in chosen:
            asyncio.run(LOADS[name](port, min(_WARM_UP_S, seconds)))
        for number in range(repeats):
            for name in chosen:
                cpu_s, began = _cpu_s(process), time.monotonic()
                taken = asyncio.run(LOADS[name](port, seconds))
                wall_s, cpu_s = time.monotonic() - began, _cpu_s(process) - cpu_s
                say(f"{name} {number + 1}: {taken / cpu_s:,.0f}/s of one core, {taken / wall_s:,.0f}/s by the clock")
                found.setdefault(f"{name}_per_second", []).append(taken / cpu_s)
                found.setdefault(f"{name}_wall_per_second", []).append(taken / wall_s)
    return found


def _figures(measured: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    return {name: figure(values) for name, values in measured.items()}


def _own_kafka(stack: ExitStack, folder: Path, say: Say) -> str:
    kafka = LocalKafka(data_dir=folder / "kafka", port=free_port(), on_progress=say)
    return stack.enter_context(kafka).bootstrap_servers


def _gateway(_: Settings, port: int) -> list[str]:
    return ["-m", "producers.gateway", f"--port={port}", f"--health-port={free_port()}"]


def _rival(settings: Settings, port: int) -> list[str]:
    where = [f"--bootstrap={settings.bootstrap}", f"--topic={settings.topic(READINGS.name)}"]
    return ["-m", "tests.benchmarks.rivals_gateway", f"--port={port}", *where]


@contextmanager
def _running(arguments: Sequence[str], settings: Settings, port: int) -> Iterator[psutil.Process]:
    """A server in a process of its own, once it is ready."""
    variables = {**os.environ, **environment(settings)}
    child = subprocess.Popen([sys.executable, *arguments], cwd=_ROOT, env=variables, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not _ready(port):
            if child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"python {' '.join(arguments)} did not become ready")
            time.sleep(0.1)
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(20)


def _ready(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
