"""`vigil bench soak`: does memory stay flat, and how much disk does a value take?

All rooms as processes under `--load` values a second in real time for `--minutes`. After `--warm-up` minutes the resident memory
of each process is noted every five seconds, and a straight line is laid through it: `slope_mb_per_hour_ROOM`, with two standard
errors of the slope below and above. Samples of one process depend on each other, so the error is rather too small than too large.

`cores_ROOM`: what each process used. `written_mb_per_second_ROOM`: what it gave the disk to write. `kafka_bytes_per_value`,
`series_bytes_per_value`: growth of the broker's folder, all topics together, and of the series store's file after the
warm-up, by the value that was written.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from infra.local.kafka import LocalKafka
from infra.local.ports import free_port
from tests.benchmarks.engine import cpu_seconds, kafka_pid
from tests.benchmarks.latency import background
from tests.benchmarks.result import Result, figure
from tests.benchmarks.synthetic_log import METRICS
from tests.rooms import INPUTS, Rooms, rooms

Say = Callable[[str], None]

_ROOMS: Final = ("gateway", "processors", "inference", "alerting", "sink", "api")
_EVERY_S: Final = 5.0
_MB: Final = 2**20


def add_options(parser: argparse.ArgumentParser) -> None:
    """What may be asked of this benchmark."""
    parser.add_argument("--load", type=int, default=700_000, help="values a second: half of what fits")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--warm-up", type=float, default=10.0, help="minutes of these that are not looked at")


def run(given: argparse.Namespace, say: Say) -> Result:
    """Measure, for as long as was asked."""
    patients = max(1, given.load // len(METRICS))
    load = patients * len(METRICS)
    with (
        tempfile.TemporaryDirectory(prefix="vigil-bench-") as folder,
        LocalKafka(data_dir=Path(folder) / "kafka", port=free_port(), on_progress=say) as kafka,
        rooms(kafka.bootstrap_servers, "soak-", Path(folder) / "state") as deployment,
    ):
        for room in _ROOMS:
            deployment.start(room)
        for room in _ROOMS:
            deployment.wait(f"{room} ready", lambda room=room: deployment.ready(room), seconds=120)  # type: ignore[misc]
        broker = kafka_pid(kafka)
        pids = {room: deployment.pid(room) for room in _ROOMS} | ({} if broker is None else {"broker": broker})
        with background(deployment, patients):
            _until(time.monotonic() + given.warm_up * 60, deployment, say)
            disk_before, used, began = _disk(Path(folder)), _used(pids), time.monotonic()
            written = _written(pids)
            seen, lags = _watch(pids, deployment, (given.minutes - given.warm_up) * 60, say)
            grown = {name: size - disk_before[name] for name, size in _disk(Path(folder)).items()}
            seconds = time.monotonic() - began
            cores = {name: (after - used[name]) / seconds for name, after in _used(pids).items()}
            disk = {name: (after - written[name]) / _MB / seconds for name, after in _written(pids).items()}
    figures = {f"rss_mb_{name}": figure([mb for _, mb in samples], 1) for name, samples in seen.items()}
    figures |= {f"cores_{name}": figure([share], 3) for name, share in cores.items()}
    figures |= {f"written_mb_per_second_{name}": figure([mb], 2) for name, mb in disk.items()}
    figures |= {f"slope_mb_per_hour_{name}": slope(samples) for name, samples in seen.items()}
    figures |= {f"lag_records_{room}": figure(found) for room, found in lags.items()}
    figures |= {f"{name}_bytes_per_value": figure([size / (load * seconds)], 2) for name, size in grown.items()}
    return Result(
        name="soak",
        inputs={"load": load, "patients": patients, "minutes": given.minutes, "warm_up_minutes": given.warm_up},
        figures=figures,
    )


def slope(samples: list[tuple[float, float]]) -> dict[str, float]:
    """Megabytes an hour of a least-squares line through (hours, megabytes), and two standard errors around it."""
    hours, mb = np.array(samples).T
    x = hours - hours.mean()
    rise = float((x * mb).sum() / (x * x).sum())
    rest = mb - mb.mean() - rise * x
    error = float(np.sqrt((rest * rest).sum() / max(1, len(x) - 2) / (x * x).sum()))
    return {"median": round(rise, 2), "min": round(rise - 2 * error, 2), "max": round(rise + 2 * error, 2)}


def _watch(
    pids: dict[str, int], deployment: Rooms, seconds: float, say: Say
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, list[float]]]:
    """Hours and megabytes of each process, and records not committed of each room that reads."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in pids}
    lags: dict[str, list[float]] = {room: [] for room in INPUTS}
    began = time.monotonic()
    said = began
    while (now := time.monotonic()) < began + seconds:
        for name, pid in pids.items():
            seen[name].append(((now - began) / 3600, psutil.Process(pid).memory_info().rss / _MB))
        for room in lags:
            lags[room].append(deployment.lag(room))
        if now - said > 60:
            said = now
            say(" ".join(f"{name} {samples[-1][1]:.0f}" for name, samples in seen.items()) + " MB")
        time.sleep(max(0.0, _EVERY_S - (time.monotonic() - now)))
    return seen, lags


def _until(end_s: float, deployment: Rooms, say: Say) -> None:
    while (now := time.monotonic()) < end_s:
        say(f"warm-up, {(end_s - now) / 60:.0f} min; lag " + " ".join(f"{room} {deployment.lag(room)}" for room in INPUTS))
        time.sleep(min(60.0, max(0.0, end_s - now)))


def _used(pids: dict[str, int]) -> dict[str, float]:
    return {name: cpu_seconds(pid) for name, pid in pids.items()}


def _written(pids: dict[str, int]) -> dict[str, int]:
    return {name: psutil.Process(pid).io_counters().write_bytes for name, pid in pids.items()}


def _disk(folder: Path) -> dict[str, int]:
    def size(root: Path, pattern: str) -> int:
        return sum(path.stat().st_size for path in root.rglob(pattern) if path.is_file())

    return {"kafka": size(folder / "kafka", "*.log"), "series": size(folder / "state", "series.db*")}
