"""`vigil bench backtest`: how much faster than real time `vigil backtest` plays a day of a thousand patients.

The day is made up: eight vital signs a patient, a value a minute, wandering around each one's own usual, now and then beyond a
limit. It is written as an export is and read like one, then played through the command's own function: all scores of the shipped
rules with their trained models, the shipped rules, and plain thresholds beside them.
`times_real_time`: event time by the wall; `times_real_time_per_core`: by the CPU seconds of this process; the goal is 500.
`*_limits_alone`: without scores, as `--no-score`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from alerting.rules.load import shipped
from cli.backtesting.run import run as play
from cli.backtesting.sources import of_recording
from contracts.vitals import BY_NAME
from inference.datasets import stored
from tests.benchmarks.result import Result, figure
from tests.benchmarks.synthetic_log import METRICS, T0

Say = Callable[[str], None]
_MINUTE_MS: Final = 60_000


def add_options(parser: argparse.ArgumentParser) -> None:
    """What may be asked of this benchmark."""
    parser.add_argument("--patients", type=int, default=1_000)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--repeats", type=int, default=1)


def run(given: argparse.Namespace, say: Say) -> Result:
    """Measure."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="vigil-bench-") as folder:
        write_day(Path(folder), given.patients, round(given.hours * 60))
        recording = stored.read(Path(folder))
    for _ in range(given.repeats):
        for kind, score in (("", True), ("_limits_alone", False)):
            done = play(of_recording(recording), shipped(), score=score, say=say)
            say(f"{kind or 'everything'}: {done.facts()}")
            found.setdefault(f"times_real_time{kind}", []).append(done.times_real)
            found.setdefault(f"times_real_time_per_core{kind}", []).append(done.played.seconds / done.cpu_s)
            found.setdefault(f"alarms_per_patient_day{kind}", []).append(done.outcomes["today"].alarms_per_patient_day)
    return Result(
        name="backtest",
        inputs={"patients": given.patients, "hours": given.hours, "metrics": len(METRICS), "repeats": given.repeats},
        figures={name: figure(measured, 2) for name, measured in found.items()},
        goals={"times_real_time": ">= 500", "times_real_time_per_core": ">= 500"},
    )


def write_day(folder: Path, patients: int, minutes: int, seed: int = 1) -> None:
    """A folder as `vigil export` writes it. A patient's values are a mean-reverting walk around the patient's own usual."""
    rng = np.random.default_rng(seed)
    names = [f"p-{number:07d}" for number in range(patients)]
    time_ms = T0 + _MINUTE_MS * np.arange(1, minutes + 1, dtype=np.int64) - 1
    tables = []
    for name in METRICS:
        vital = BY_NAME[name]
        usual = rng.normal(vital.centre, vital.spread / 2, patients)
        away = np.zeros((minutes, patients))
        kick = rng.normal(0.0, 0.3 * vital.spread / 2, (minutes, patients))
        for minute in range(1, minutes):
            away[minute] = 0.95 * away[minute - 1] + kick[minute]
        value = np.clip(usual + away, vital.hard_low, vital.hard_high).round(vital.decimals)
        tables.append(
            pa.table(
                {
                    "patient": pa.DictionaryArray.from_arrays(np.tile(np.arange(patients, dtype=np.int32), minutes), names),
                    "metric": pa.DictionaryArray.from_arrays(np.zeros(minutes * patients, dtype=np.int32), [name]),
                    "time_ms": np.repeat(time_ms, patients),
                    "value": value.astype(np.float32).ravel(),
                }
            )
        )
    whole = pa.concat_tables([table.cast(_SCHEMA) for table in tables])
    parquet.write_table(whole, folder / stored.VALUES)
    (folder / stored.EVENTS).write_text("patient,time_ms\n", encoding="utf-8")


_SCHEMA: Final = pa.schema(
    [("patient", pa.string()), ("metric", pa.string()), ("time_ms", pa.int64()), ("value", pa.float32())]
)
