"""Windows into the series stores: rows a second of one core, and the bytes that each makes the disk write.

Every patient has a window of eighty numbers every ten seconds; a write holds all patients, as the sink's do. Values are like
those of a ward: extremes and medians in whole numbers, counts that stand still, means and spreads that do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from contracts.frames import Labels
from contracts.windows import HOP_MS, SHORT_MS, Windows
from infra.runtime.series_sqlite import SqliteSeries
from tests.benchmarks.result import figure
from tests.benchmarks.synthetic_log import METRICS, T0

_WHOLE: Final = ("min", "max", "last", "median")
_STILL: Final = ("count", "good", "coverage")
_MOVING: Final = ("mean", "std", "slope")


def writing(
    opened: Callable[[Path], Any], folder: Path, patients: int, seconds: int, repeats: int, say: Callable[[str], None]
) -> dict[str, dict[str, float]]:
    """Windows of `seconds`, each repetition into a new store. Making them is not measured."""
    found: dict[str, list[float]] = {}
    process = psutil.Process()
    for number in range(repeats):
        path = folder / f"windows-{number}-{time.monotonic_ns()}.db"
        store = opened(path)
        rows, cpu_s, written = 0, 0.0, process.io_counters().write_bytes
        for windows in each_hop(patients, seconds):
            cpu = time.process_time()
            store.write_windows([windows])
            cpu_s += time.process_time() - cpu
            rows += len(windows)
        if isinstance(store, SqliteSeries):
            cpu = time.process_time()
            store.compact()
            cpu_s += time.process_time() - cpu
        store.close()
        figures = {
            "sqlite_windows_per_second": rows / cpu_s,
            "sqlite_window_bytes_written": (process.io_counters().write_bytes - written) / rows,
        }
        path.unlink()
        say(f"{type(store).__name__} {number + 1}: " + ", ".join(f"{k} {v:,.0f}" for k, v in figures.items()))
        for name, value in figures.items():
            found.setdefault(name, []).append(value)
    return {name: figure(values) for name, values in found.items()}


def each_hop(patients: int, seconds: int) -> Iterator[Windows]:
    """A window of every patient, every ten seconds."""
    random = np.random.default_rng(1)
    codes = np.arange(patients, dtype=np.int32)
    names = tuple(f"p-{number:07d}" for number in range(patients))
    level = random.normal(80, 5, (len(METRICS), patients))
    for end_ms in range(T0 + SHORT_MS, T0 + seconds * 1000, HOP_MS):
        level += random.normal(0, 0.1, level.shape)
        features = {f"{m}.{s}": np.round(level[i]).astype(np.float32) for i, m in enumerate(METRICS) for s in _WHOLE}
        features |= {f"{m}.{s}": np.full(patients, 60, np.float32) for m in METRICS for s in _STILL}
        features |= {
            f"{m}.{s}": (level[i] + random.normal(0, 1, patients)).astype(np.float32)
            for i, m in enumerate(METRICS)
            for s in _MOVING
        }
        yield Windows(
            patient=Labels(codes=codes, names=names),
            window_end_ms=np.full(patients, end_ms, dtype=np.int64),
            span_ms=np.full(patients, SHORT_MS, dtype=np.int32),
            late=np.zeros(patients, dtype=np.int32),
            revised=np.zeros(patients, dtype=np.uint8),
            features=features,
        )
