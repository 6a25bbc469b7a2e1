"""`vigil bench engine`: a district's readings through real processes on a real broker, and rivals on the same readings.

A run: a topic prefix of its own, all rooms joined and warm on empty topics, then the whole log is written as fast as Kafka
takes it, and the clock stops when every group has committed its last record. The broker, the writer and the rooms share
the machine's cores; nothing is pinned. Committing happens once a second, so a wall time is up to a second too long.

`values_per_core_second`: values ÷ (user + system) seconds of the processors' process. `values_per_second`: through
processors, inference and alerting, by the wall. `values_per_second_stored`: with the series sink beside them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import psutil

from contracts.topics import CONTENT_TYPE, PARTITIONS, READINGS
from infra.local.kafka import LocalKafka
from infra.local.ports import free_port
from infra.runtime.kafka import producer
from infra.runtime.settings import Settings
from tests.benchmarks.result import Result, figure
from tests.benchmarks.synthetic_log import METRICS, T0, Piece, patients_by_partition, seconds
from tests.rooms import INPUTS, Rooms, rooms

Say = Callable[[str], None]

CHAIN: Final = ("processors", "inference", "alerting")
STORED: Final = (*CHAIN, "sink")
_LIMIT_S: Final = 300.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """What may be asked of this benchmark."""
    parser.add_argument("--patients", type=int, default=20_000, help="each sends eight vitals a second")
    parser.add_argument("--seconds", type=int, default=150, help="of event time")
    parser.add_argument("--rows", type=int, default=2_000, help="values in a frame, as gateways write them under load")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-sink", action="store_true", help="leave out the runs with the series sink")
    parser.add_argument("--no-rivals", action="store_true", help="leave out the rivals")
    parser.add_argument("--rival-values", type=int, default=400_000, help="values given to each rival")


def run(given: argparse.Namespace, say: Say) -> Result:
    """Measure. Takes some minutes, most of them for the rivals."""
    say(f"Making {given.seconds} s of {given.patients} patients")
    log = make_log(given.patients, given.seconds, given.rows)
    values = sum(piece.rows for piece in log)
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory(prefix="vigil-bench-") as folder, LocalKafka(
        data_dir=Path(folder) / "kafka", port=free_port(), on_progress=say
    ) as kafka:
        for number in range(given.repeats):
            for kind, chosen in (("chain", CHAIN), ("stored", STORED)):
                if kind == "stored" and given.no_sink:
                    continue
                wall_s, cpu_s = one_run(kafka.bootstrap_servers, Path(folder), f"{kind}{number}-", chosen, log, kafka_pid(kafka))
                say(f"{kind} {number + 1}: {values / wall_s:,.0f} values/s, CPU seconds {rounded(cpu_s)}")
                if kind == "stored":
                    note("values_per_second_stored", values / wall_s)
                    note("sink_values_per_core_second", values / cpu_s["sink"])
                    continue
                note("values_per_core_second", values / cpu_s["processors"])
                note("values_per_second", values / wall_s)
                note("alerting_values_per_core_second", values / cpu_s["alerting"])
                note("chain_values_per_core_second", values / sum(cpu_s[room] for room in CHAIN))
        rivals = {} if given.no_rivals else measure_rivals(kafka.bootstrap_servers, Path(folder), given, say)
    return Result(
        name="engine",
        inputs={
            "patients": given.patients, "metrics": len(METRICS), "seconds": given.seconds, "values": values,
            "rows_per_frame": given.rows, "partitions": PARTITIONS, "repeats": given.repeats,
        },
        figures={name: figure(measured) for name, measured in found.items()},
        rivals=rivals,
        goals={
            "values_per_core_second": "1,500,000", "values_per_second": "1,500,000", "values_per_second_stored": "1,000,000",
        },
    )  # fmt: skip


def make_log(patients: int, length_s: int, frame_rows: int, *, start_ms: int = T0) -> list[Piece]:
    """All messages in the order in which gateways would write them: second by second, over all partitions."""
    feeds = [
        seconds(partition, names, first=0, count=length_s, frame_rows=frame_rows, start_ms=start_ms)
        for partition, names in enumerate(patients_by_partition(patients))
    ]
    return [piece for second in zip(*feeds, strict=True) for _, pieces in second for piece in pieces]


def one_run(
    bootstrap: str, folder: Path, prefix: str, chosen: Sequence[str], log: Sequence[Piece], broker: int | None
) -> tuple[float, dict[str, float]]:
    """Wall seconds from the first record written to the last commit, and CPU seconds of each room in that time."""
    with rooms(bootstrap, prefix, folder / prefix) as deployment:
        for room in chosen:
            deployment.start(room)
        for room in chosen:
            deployment.wait(f"{room} ready", lambda room=room: deployment.ready(room), seconds=90)  # type: ignore[misc]
        pids = {room: deployment.pid(room) for room in chosen} | ({} if broker is None else {"broker": broker})
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        began = time.perf_counter()
        write(deployment.settings, log)
        wait_until_done(deployment, chosen, began)
        wall_s = time.perf_counter() - began
        return wall_s, {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}


def write(settings: Settings, log: Sequence[Piece]) -> None:
    """The whole log, as fast as the broker takes it."""
    client = producer(settings, **{"linger.ms": 5, "queue.buffering.max.kbytes": 2_097_151, "queue.buffering.max.messages": 0})
    topic = settings.topic(READINGS.name)
    headers: dict[str, list[tuple[str, str | bytes | None]]] = {
        kind: [(CONTENT_TYPE, kind.encode())] for kind in {piece.content_type for piece in log}
    }
    for piece in log:
        while True:
            try:
                client.produce(topic, value=piece.value, partition=piece.partition, headers=headers[piece.content_type])
                break
            except BufferError:
                client.poll(0.05)
        client.poll(0)
    if client.flush(_LIMIT_S):
        raise TimeoutError("Kafka did not take the log in time")


def wait_until_done(deployment: Rooms, chosen: Sequence[str], began: float) -> None:
    """Until no group lags, those downstream after those upstream; twice, for what came between two looks."""
    quiet = 0
    while quiet < 2:
        if time.perf_counter() - began > _LIMIT_S:
            raise TimeoutError(f"not done within {_LIMIT_S:g} s\n{deployment.logs()}")
        quiet = quiet + 1 if deployment.caught_up(*(room for room in chosen if room in INPUTS)) else 0
        time.sleep(0.05)


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def kafka_pid(kafka: LocalKafka) -> int | None:
    """The broker's process, where it can be told."""
    port = int(kafka.bootstrap_servers.rpartition(":")[2])
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            return connection.pid
    return None


def rounded(seconds_by_name: Mapping[str, float]) -> str:
    """For a line of progress."""
    return ", ".join(f"{name} {value:.1f}" for name, value in seconds_by_name.items())


def measure_rivals(
    bootstrap: str, folder: Path, given: argparse.Namespace, say: Say
) -> dict[str, dict[str, dict[str, float]]]:
    """The same job on the same kind of readings, one message per reading, as their users would send them."""
    from tests.benchmarks.rivals import measure as rivals

    settings = Settings(kafka_bootstrap_servers=bootstrap, topic_prefix="rivals-", state_dir=folder / "rivals")
    os.makedirs(settings.state_dir, exist_ok=True)
    patients = 500
    length_s = max(70, given.rival_values // (patients * len(METRICS)))
    feeds = [
        seconds(partition, names, first=0, count=length_s, frame_rows=10**9)
        for partition, names in enumerate(patients_by_partition(patients))
    ]
    batches = [readings for second in zip(*feeds, strict=True) for readings, _ in second]
    values = rivals.prepare(settings, batches)
    measured: dict[str, dict[str, dict[str, float]]] = {}
    for name, reason in rivals.available(settings).items():
        if reason is not None:
            say(f"{name} is left out: {reason}")
            continue
        measured[name] = rivals.measure(name, settings, rivals.TOPIC, values, given.repeats)
        say(f"{name}: {measured[name]['values_per_core_second']['median']:,.0f} values per core-second")
    return measured
