"""`vigil bench growth`: what a patient costs when there are many, and how long a worker needs to know them again.

`cost_ratio`: processor seconds per value in the processors at the largest number of patients ÷ at the smallest. One
partition stands for all: it holds an eighth of the patients, as in a deployment, and is stepped through the same frames.
`bytes_per_patient`: growth of the resident memory of a process that holds that partition, by the patient: rings, minutes
and newest values of eight metrics. `alerting_bytes_per_patient`: the same of the alert room.
`warmup_seconds`: from starting the processors' process again, after a kill -9 under `warmup_patients` who measure eight metrics
a second, to its readiness; on a real broker. Their rings are full, and they measure in real time for longer than the time
between two snapshots, so that the replay is as long as it is in a ward.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import psutil

from alerting.room import AlertRoom
from alerting.rules.load import shipped
from contracts.topics import PARTITIONS
from infra.local.kafka import LocalKafka
from infra.local.ports import free_port
from stream_processors.__main__ import SNAPSHOT_EVERY_S
from stream_processors.room import ProcessorRoom
from tests.benchmarks.engine import make_log, write
from tests.benchmarks.result import Result, figure
from tests.benchmarks.synthetic_log import METRICS, names_of, seconds
from tests.rooms import Rooms, rooms

Say = Callable[[str], None]

_HISTORY_S: Final = 200  # rings are full
WARM_S: Final = 75  # rings are full and every kind of window has been sent once
_MAKE: Final[dict[str, Callable[[], ProcessorRoom | AlertRoom]]] = {
    "processors": lambda: ProcessorRoom(0),
    "alerting": lambda: AlertRoom(0, {0: shipped()}),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """What may be asked of this benchmark."""
    parser.add_argument("--patients", type=int, nargs="+", default=[1_000, 10_000, 50_000, 200_000])
    parser.add_argument("--seconds", type=int, default=30, help="of event time that are measured")
    parser.add_argument("--rows", type=int, default=2_000, help="values in a frame")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warmup-patients", type=int, default=50_000, help="0 leaves the warm-up out")


def run(given: argparse.Namespace, say: Say) -> Result:
    """Measure, each size in a process of its own."""
    found: dict[str, list[float]] = {}
    for _ in range(given.repeats):
        costs: dict[int, float] = {}
        for patients in given.patients:
            cost, grown = alone("processors", patients, given)
            costs[patients] = cost
            found.setdefault(f"values_per_core_second_{patients}", []).append(1 / cost)
            found.setdefault(f"bytes_per_patient_{patients}", []).append(grown)
            say(f"{patients} patients: {1 / cost:,.0f} values per core-second, {grown:,.0f} bytes a patient")
        found.setdefault("cost_ratio", []).append(costs[max(costs)] / costs[min(costs)])
    largest = max(given.patients)
    found["bytes_per_patient"] = found[f"bytes_per_patient_{largest}"]
    found["alerting_bytes_per_patient"] = [alone("alerting", largest, given)[1]]
    if given.warmup_patients:
        found["warmup_seconds"] = [warm_up(given, say)]
    return Result(
        name="growth",
        inputs={
            "patients": given.patients, "metrics": len(METRICS), "seconds": given.seconds, "rows_per_frame": given.rows,
            "warmup_patients": given.warmup_patients, "snapshot_every_s": SNAPSHOT_EVERY_S, "repeats": given.repeats,
        },
        figures={name: figure(values, 0 if "values" in name else 2) for name, values in found.items()},
        goals={"cost_ratio": "<= 1.1", "bytes_per_patient": "<= 4,096", "warmup_seconds": "<= 10 with 50,000 patients"},
    )  # fmt: skip


def alone(room: str, patients: int, given: argparse.Namespace) -> tuple[float, float]:
    """CPU seconds per value, and bytes of resident memory per patient, in a fresh process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_measure, args=(theirs, room, patients // PARTITIONS, given.seconds, given.rows))
    child.start()
    theirs.close()
    try:
        cost, grown = ours.recv()
    except EOFError:
        raise RuntimeError(f"measuring {patients} patients failed, see above") from None
    finally:
        child.join()
    return float(cost), float(grown)


def _measure(answer: Connection, kind: str, patients: int, length_s: int, frame_rows: int) -> None:
    names = names_of(0, patients)
    room = _MAKE[kind]()
    me = psutil.Process()
    offset, used = 0, 0.0
    before = None
    for second, (_, pieces) in enumerate(
        seconds(0, names, first=0, count=WARM_S + length_s, frame_rows=frame_rows)
    ):
        records = [piece.record(offset + number) for number, piece in enumerate(pieces)]
        offset += len(records)
        if before is None:
            before = me.memory_info().rss  # what makes the readings is in memory by now
        began = time.process_time()
        room.step(records)
        if second >= WARM_S:
            used += time.process_time() - began
    grown = me.memory_info().rss - (before or 0)
    answer.send((used / (patients * len(METRICS) * length_s), grown / patients))
    answer.close()


def warm_up(given: argparse.Namespace, say: Say) -> float:
    """Seconds until the processors' process is ready again after a kill, snapshots before it."""
    patients, live_s = given.warmup_patients, round(SNAPSHOT_EVERY_S * 1.25)
    now_ms = int(time.time()) * 1000
    say(f"Making {_HISTORY_S + live_s} s of {patients} patients")
    log = make_log(patients, _HISTORY_S + live_s, given.rows, start_ms=now_ms - _HISTORY_S * 1000)
    each = len(log) // (_HISTORY_S + live_s)  # messages a second
    with _deployment(say) as deployment:
        deployment.start("processors")
        write(deployment.settings, log[: each * _HISTORY_S])
        deployment.wait("the history", lambda: deployment.caught_up("processors"), seconds=600)
        began = time.monotonic()
        for second in range(live_s):
            at = each * (_HISTORY_S + second)
            write(deployment.settings, log[at : at + each])
            time.sleep(max(0.0, began + second + 1 - time.monotonic()))
        say(f"{live_s} s in {time.monotonic() - began:.0f} s")
        deployment.kill("processors")
        began = time.perf_counter()
        deployment.start("processors")
        deployment.wait("warm", lambda: deployment.ready("processors"), seconds=300)
        return time.perf_counter() - began


@contextmanager
def _deployment(say: Say) -> Iterator[Rooms]:
    with (
        tempfile.TemporaryDirectory(prefix="vigil-bench-") as folder,
        LocalKafka(data_dir=Path(folder) / "kafka", port=free_port(), on_progress=say) as kafka,
        rooms(kafka.bootstrap_servers, "warm-", Path(folder) / "warm") as deployment,
    ):
        yield deployment
