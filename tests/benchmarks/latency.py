"""`vigil bench latency`: from a reading at the gateway to its alarm, through all rooms as processes and a real Kafka.

Under a background load of `--load` values a second, probe patients post readings whose SpO2 falls below the critical
limit (`tests.benchmarks.latency_probes`). The onset delay of that alarm is a clinical choice and no latency, so the clock
starts when the reading that completes it is posted: just before its HTTP request is written, by the wall clock of this
machine, which all measurements share.

`acknowledged_ms`: until the gateway answers, for any reading, while `alarm_topic_ms` is measured.
`alarm_topic_ms`: until the alarm's event could be read from Kafka by a consumer, with no viewer connected.
`alarm_socket_ms`: until the alarm's frame was read by a viewer, once for each viewer who follows the patient, with
`--viewers` connected, each following a ward of 24 beds whose values change every second, and its probes. Every tenth probe
belongs to all wards: `alarm_everyone_ms` are those alone. The viewers share one process; their own work is in the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from infra.local.kafka import LocalKafka
from infra.local.ports import free_port
from infra.runtime.settings import environment
from tests.benchmarks import latency_load
from tests.benchmarks.latency_probes import CONDITION, LENGTH_S, AlarmTopic, Posted, probes
from tests.benchmarks.latency_viewers import connect
from tests.benchmarks.result import Result
from tests.benchmarks.synthetic_log import METRICS
from tests.rooms import Rooms, rooms

Say = Callable[[str], None]

_ROOMS: Final = ("gateway", "processors", "inference", "alerting", "sink", "api")
_WARD: Final = 24
_WARM_UP_S: Final = 10
_SETTLE_S: Final = 3.0
_LAST_S: Final = 60
_EVERYONE: Final = 10  # every tenth probe
_GOALS: Final = {"alarm_socket_ms": "p99 250", "alarm_topic_ms": "p99 60"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """What may be asked of this benchmark."""
    parser.add_argument("--viewers", type=int, default=1000)
    parser.add_argument(
        "--load", type=int, default=100_000, help="values a second in the background: half of what fits"
    )
    parser.add_argument("--seconds", type=int, default=30, help="of each of the two measurements")
    parser.add_argument("--probes", type=float, default=4.0, help="alarms a second")


def run(given: argparse.Namespace, say: Say) -> Result:
    """Measure: the two times and about half a minute to start."""
    patients = max(_WARD, given.load // len(METRICS))
    with (
        tempfile.TemporaryDirectory(prefix="vigil-bench-") as folder,
        LocalKafka(data_dir=Path(folder) / "kafka", port=free_port(), on_progress=say) as kafka,
        rooms(kafka.bootstrap_servers, "latency-", Path(folder) / "state") as deployment,
    ):
        for room in _ROOMS:
            deployment.start(room)
        for room in _ROOMS:
            deployment.wait(f"{room} ready", lambda room=room: deployment.ready(room), seconds=120)  # type: ignore[misc]
        say(f"rooms ready; {patients} patients, {patients * len(METRICS)} values a second")
        with background(deployment, patients):
            time.sleep(_WARM_UP_S)
            alone, acknowledged = asyncio.run(measure_topic(deployment, given, say))
            watched = asyncio.run(measure_socket(deployment, given, patients, say))
            lag = deployment.lag("alerting")
    return Result(
        name="latency",
        inputs={
            "viewers": given.viewers, "load": patients * len(METRICS), "patients": patients, "seconds": given.seconds,
            "probes_per_second": given.probes, "beds_per_viewer": _WARD,
        },
        figures={
            "alarm_topic_ms": spread(alone), "acknowledged_ms": spread(acknowledged),
            **{name: spread(waits) for name, waits in watched.waits.items()},
        },
        goals=_GOALS,
        notes=[
            f"{len(alone)} alarms without viewers; {watched.alarms} alarms, {len(watched.waits['alarm_socket_ms'])} frames with",
            "cores used with viewers: " + ", ".join(f"{name} {used:.2f}" for name, used in watched.cores.items()),
            f"alerting had {lag} records not committed at the end",
        ],
    )  # fmt: skip


async def measure_topic(deployment: Rooms, given: argparse.Namespace, say: Say) -> tuple[list[float], list[float]]:
    """Milliseconds to the topic, one an alarm, and to the gateway's answer, one a reading."""
    names = _names("t", given)
    posted, topic = Posted(), AlarmTopic(deployment.settings)
    try:
        await probes(deployment.settings.gateway_port, names, 1 / given.probes, posted)
        await _until(lambda: len(topic.arrived_ns) >= len(names))
    finally:
        topic.close()
    waits = [posted.wait_ms(name, topic.arrived_ns[name]) for name in names if name in topic.arrived_ns]
    if len(waits) < len(names):
        raise RuntimeError(f"{len(waits)} of {len(names)} alarms reached Kafka\n{deployment.logs()}")
    say(f"alarm_topic_ms {spread(waits)}")
    return waits, posted.acknowledged_ms


class Watched:
    """What the measurement with viewers found."""

    def __init__(self) -> None:
        self.waits: dict[str, list[float]] = {"alarm_socket_ms": [], "alarm_everyone_ms": []}
        self.cores: dict[str, float] = {}
        self.alarms = 0


async def measure_socket(deployment: Rooms, given: argparse.Namespace, patients: int, say: Say) -> Watched:
    """Milliseconds to the viewers, one for each viewer of an alarm's patient."""
    names = _names("s", given)
    beds = latency_load.names(patients)
    common = set(names[::_EVERYONE])
    count = max(1, min(patients // _WARD, given.viewers))
    wards = [
        [
            *beds[ward * _WARD : (ward + 1) * _WARD],
            *(n for i, n in enumerate(names) if n in common or i % count == ward),
        ]
        for ward in range(count)
    ]
    posted, found = Posted(), Watched()
    frames: set[tuple[int, str]] = set()

    def on_alarm(frame: dict[str, Any], arrived_ns: int, viewer: int) -> None:
        alarm = frame["alarm"]
        patient = alarm["patient"]
        if alarm["condition"] != CONDITION or frame["change"] != "raised" or (viewer, patient) in frames:
            return
        frames.add((viewer, patient))
        wait_ms = posted.wait_ms(patient, arrived_ns)
        found.waits["alarm_socket_ms"].append(wait_ms)
        if patient in common:
            found.waits["alarm_everyone_ms"].append(wait_ms)

    viewers = await connect(deployment.settings.api_port, wards, given.viewers, on_alarm)
    say(f"{len(viewers)} viewers connected")
    await asyncio.sleep(_SETTLE_S)
    before, began = _cpu_s(deployment), time.monotonic()
    await probes(deployment.settings.gateway_port, names, 1 / given.probes, posted)
    found.cores = {
        room: (used - before[room]) / (time.monotonic() - began) for room, used in _cpu_s(deployment).items()
    }
    found.alarms = len(names)
    expected = sum(sum(name in posted.at_ns for name in wards[n % count][_WARD:]) for n in range(given.viewers))
    await _until(lambda: len(frames) >= expected)
    lost = sum(viewer.closed for viewer in viewers)
    for viewer in viewers:
        viewer.close()
    if lost or len(frames) < expected:
        raise RuntimeError(
            f"{lost} viewers were closed; {len(frames)} of {expected} frames arrived\n{deployment.logs()}"
        )
    say(f"alarm_socket_ms {spread(found.waits['alarm_socket_ms'])}")
    return found


async def _until(arrived: Callable[[], bool]) -> None:
    """Until the last alarm has arrived, or will not."""
    for _ in range(_LAST_S * 10):
        if arrived():
            return
        await asyncio.sleep(0.1)


def spread(waits: Sequence[float]) -> dict[str, float]:
    """The figure of a distribution, in the unit of `waits`."""
    p50, p95, p99 = (round(float(p), 1) for p in np.percentile(waits, (50, 95, 99)))
    return {
        "median": p50, "p50": p50, "p95": p95, "p99": p99, "min": round(min(waits), 1), "max": round(max(waits), 1),
    }  # fmt: skip


def _names(kind: str, given: argparse.Namespace) -> list[str]:
    return [f"probe-{kind}-{number:04d}" for number in range(max(1, round((given.seconds - LENGTH_S) * given.probes)))]


def _cpu_s(deployment: Rooms) -> dict[str, float]:
    return {room: float(sum(psutil.Process(deployment.pid(room)).cpu_times()[:2])) for room in _ROOMS}


@contextmanager
def background(deployment: Rooms, patients: int) -> Iterator[None]:
    """Patients of whom nothing is the matter, until the end of the block."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.latency_load", f"--patients={patients}"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment(deployment.settings)},
    )
    try:
        yield
        if child.poll() is not None:
            raise RuntimeError("the background load ended")
    finally:
        child.terminate()
        child.wait(20)
