"""`vigil bench series`: points written a second, and the chart of a patient's day, in SQLite and InfluxDB.

`sqlite_points_per_second`, `influx_points_per_second`: readings written ÷ CPU-seconds (user + system) of the writing
process, so points a second of one core: eight metrics of every patient at 1 Hz, one write for each second of all
patients, as the sink does, durable when a write returns. For SQLite that is all the work there is: segments, sorting into
chunks (everything is sorted in the end) and checkpoints. InfluxDB does more in its server: readings ÷ CPU-seconds of the
server are `influx_server_points_per_second`. `*_wall_per_second`: by the clock.

`query_24h_ms`, `influx_query_24h_ms`: one patient's page, 24 hours of eight metrics at 1 Hz, each downsampled to 1,000
points, all eight by the clock, while days of other patients lie in the same store and the newest 150 seconds are not
sorted yet. `query_24h_cpu_ms`: the CPU time in it, on a machine that does other things too.

`sqlite_windows_per_second`, `sqlite_window_bytes_written`: see `tests.benchmarks.series_windows`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import psutil

from contracts.frames import Labels
from contracts.readings import Readings
from contracts.vitals import BY_NAME, INDEX
from infra.runtime.series_influx import InfluxSeries
from infra.runtime.series_sqlite import SqliteSeries
from tests.benchmarks import series_windows
from tests.benchmarks.result import Result, figure
from tests.benchmarks.rivals_series import PointStore, RowStore, WindowRows
from tests.benchmarks.synthetic_log import METRICS, T0
from tests.infra.runtime.series.influxd import TOKEN, Influxd, find_influxd

Say = Callable[[str], None]
Figures = dict[str, dict[str, float]]

_DAY_S: Final = 86_400
_DAY_MS: Final = _DAY_S * 1000
_UNSORTED_S: Final = 150  # on average; sorted every five minutes
_POINTS: Final = 1_000
_ROWS_AT_ONCE: Final = 400_000
_GOALS: Final = {
    "sqlite_points_per_second": "1,000,000",
    "influx_points_per_second": "300,000",
    "query_24h_ms": "30",
}


class Store(Protocol):
    """A store of ours, or a rival."""

    def write(self, readings: Readings) -> None: ...

    def query(self, patient: str, metric: str, from_ms: int, to_ms: int, points: int) -> Any: ...

    def close(self) -> None: ...


def add_options(parser: argparse.ArgumentParser) -> None:
    """What may be asked of this benchmark."""
    parser.add_argument("--patients", type=int, default=1_000, help="who are written at once")
    parser.add_argument("--seconds", type=int, default=900, help="of their readings for SQLite; the others get a tenth")
    parser.add_argument("--neighbours", type=int, default=63, help="other patients whose day lies in the charts' store")
    parser.add_argument(
        "--rival-neighbours", type=int, default=3, help="the same for the others, which are slow to fill"
    )
    parser.add_argument("--charts", type=int, default=15, help="how often the eight charts are drawn")
    parser.add_argument("--repeats", type=int, default=3, help="of each writing measurement")
    parser.add_argument("--no-rivals", action="store_true", help="leave out the rivals")


def run(given: argparse.Namespace, say: Say) -> Result:
    """Measure: some minutes, most of them to fill the stores for the charts."""
    few_s = max(1, given.seconds // 10)
    rivals: dict[str, Figures] = {}
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="vigil-bench-") as name:
        windows = partial(
            series_windows.writing, folder=Path(name), patients=3 * given.patients, seconds=max(660, given.seconds),
            repeats=given.repeats, say=say,
        )  # fmt: skip
        files = (Path(name) / f"{number}.db" for number in range(100_000))
        figures = writing("sqlite", lambda: SqliteSeries(next(files)), given.seconds, given, say)
        figures |= charts("", SqliteSeries(next(files)), given.neighbours, given.charts, say)
        figures |= windows(SqliteSeries)
        if not given.no_rivals:
            rows = writing("sqlite", lambda: RowStore(next(files)), few_s, given, say)
            rows |= charts("", RowStore(next(files)), given.rival_neighbours, given.charts, say)
            rivals["sqlite_row_per_value"] = rows
            rivals["sqlite_row_per_window"] = windows(WindowRows)
        program = find_influxd()
        if program is None:
            notes.append("InfluxDB was left out: no influxd in VIGIL_TEST_INFLUXD, on the PATH or in the cache folder")
        else:
            server = Influxd(program, Path(name) / "influxd")
            try:
                ours, theirs = influx(server, few_s, given, say)
            finally:
                server.stop()
            figures |= ours
            if theirs:
                rivals["influxdb_client_points"] = theirs
    return Result(name="series", inputs=vars(given), figures=figures, rivals=rivals, goals=_GOALS, notes=notes)


def influx(server: Influxd, seconds: int, given: argparse.Namespace, say: Say) -> tuple[Figures, Figures]:
    """Our figures and the rival's."""
    process = psutil.Process(server._process.pid)
    buckets = (f"bucket-{number}" for number in range(100_000))
    figures = writing("influx", lambda: InfluxSeries(server.url(next(buckets)), TOKEN), seconds, given, say, process)
    store = InfluxSeries(server.url(next(buckets)), TOKEN)
    figures |= charts("influx_", store, given.rival_neighbours, given.charts, say)
    if given.no_rivals:
        return figures, {}
    few = max(1, seconds // 3)
    return figures, writing("influx", lambda: PointStore(server.url(next(buckets)), TOKEN), few, given, say, process)


def writing(
    kind: str,
    opened: Callable[[], Any],
    seconds: int,
    given: argparse.Namespace,
    say: Say,
    server: psutil.Process | None = None,
) -> Figures:
    """Points a second, each repetition with a new store. Making the readings is not measured."""
    found: dict[str, list[float]] = {}
    names = _names(given.patients)
    for number in range(given.repeats):
        store = opened()
        points, cpu_s, wall_s, slowest_s = 0, 0.0, 0.0, 0.0
        server_s = _cpu_s(server)
        for readings in each_second(names, T0, seconds):
            cpu, began = time.process_time(), time.perf_counter()
            store.write(readings)
            took_s = time.perf_counter() - began
            cpu_s, wall_s, slowest_s = cpu_s + time.process_time() - cpu, wall_s + took_s, max(slowest_s, took_s)
            points += len(readings)
        if isinstance(store, SqliteSeries):
            cpu, began = time.process_time(), time.perf_counter()
            store.compact()
            cpu_s, wall_s = cpu_s + time.process_time() - cpu, wall_s + time.perf_counter() - began
        store.close()
        figures = {f"{kind}_points_per_second": points / cpu_s, f"{kind}_points_wall_per_second": points / wall_s}
        if server is not None:
            figures[f"{kind}_server_points_per_second"] = points / (_cpu_s(server) - server_s)
        figures[f"{kind}_slowest_write_ms"] = slowest_s * 1000
        say(f"{type(store).__name__} {number + 1}: " + ", ".join(f"{k} {v:,.0f}" for k, v in figures.items()))
        for name, value in figures.items():
            found.setdefault(name, []).append(value)
    return {name: figure(values) for name, values in found.items()}


def charts(kind: str, store: Store, neighbours: int, times: int, say: Say) -> Figures:
    """Milliseconds for the eight charts of a patient's day, of another patient each time."""
    names = _names(neighbours + 1)
    say(f"{type(store).__name__}: writing a day of {len(names)} patients")
    for readings in a_day(names):
        store.write(readings)
    if isinstance(store, SqliteSeries):
        store.compact()
    for readings in each_second(names, T0 + _DAY_MS - _UNSORTED_S * 1000, _UNSORTED_S):
        store.write(readings)
    wall_ms, cpu_ms = [], []
    for number in range(times):
        cpu, began = time.process_time(), time.perf_counter()
        for metric in METRICS:
            found = store.query(names[number * 7 % len(names)], metric, T0, T0 + _DAY_MS, _POINTS)
            assert 990 <= len(found) <= _POINTS, len(found)
        wall_ms.append((time.perf_counter() - began) * 1000)
        cpu_ms.append((time.process_time() - cpu) * 1000)
    store.close()
    say(f"{type(store).__name__}: eight charts in {figure(wall_ms, 1)} ms")
    return {f"{kind}query_24h_ms": figure(wall_ms, 1), f"{kind}query_24h_cpu_ms": figure(cpu_ms, 1)}


def a_day(names: Sequence[str]) -> Iterator[Readings]:
    """All but what is not sorted yet, many seconds at once."""
    step_s = max(1, _ROWS_AT_ONCE // (len(names) * len(METRICS)))
    end_s = _DAY_S - _UNSORTED_S
    for first in range(0, end_s, step_s):
        yield made(names, T0 + first * 1000, min(step_s, end_s - first), first)


def each_second(names: Sequence[str], start_ms: int, seconds: int) -> Iterator[Readings]:
    """A second of all patients at once."""
    for second in range(seconds):
        yield made(names, start_ms + second * 1000, 1, second)


def made(names: Sequence[str], start_ms: int, seconds: int, seed: int) -> Readings:
    """Eight metrics of every patient at 1 Hz."""
    width = len(METRICS)
    count = len(names) * width
    row = np.arange(count * seconds)
    second, place = row // count, row % width
    patient = (row % count // width).astype(np.int32)
    centre = np.array([BY_NAME[m].centre for m in METRICS])[place]
    spread = np.array([BY_NAME[m].spread for m in METRICS])[place] / 8
    time_ms = start_ms + second * 1000 + patient * 7 % 1000
    return Readings(
        patient=Labels(codes=patient, names=tuple(names)),
        device=Labels(codes=patient, names=tuple(f"d-{name}" for name in names)),
        metric=np.array([INDEX[m] for m in METRICS], dtype=np.int16)[place],
        value=np.round(np.random.default_rng(seed).normal(centre, spread), 1).astype(np.float32),
        time_ms=time_ms,
        received_ms=time_ms,
        boot=np.ones(len(row), dtype=np.int32),
        seq=(time_ms // 1000 - T0 // 1000) * width + place,
        quality=np.zeros(len(row), dtype=np.uint8),
    )


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"p-{number:07d}" for number in range(count))


def _cpu_s(process: psutil.Process | None) -> float:
    return 0.0 if process is None else float(sum(process.cpu_times()[:2]))
