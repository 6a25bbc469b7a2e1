"""`vigil bench ward`: what it costs a node of the API to keep the newest values and scores of everybody, and to write them out.

`latest_values_per_core_second`: values of `vitals.latest` decoded and folded ÷ CPU-seconds, frames of a partition as the
processors write them, every value new, in the turns that the node takes. `scores_per_core_second`: the same for scores of one
model with a contribution and a deviation of eight metrics each. `written_values_per_core_second`: changed values written as
JSON ÷ CPU-seconds, for viewers who follow wards of 24. `turn_ms`: how long the event loop is held by one turn, by the clock.

The rival keeps the same values in plain dictionaries, row by row, and writes nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from api.columns import LatestRows, ScoreRows, latest_rows, score_rows
from api.kafka_feed import in_turns
from api.ward import Ward
from contracts.frames import Labels
from contracts.latest import Latest, LatestValues, decode_latest, encode_latest
from contracts.scores import Scores, decode_scores, encode_scores
from tests.benchmarks.result import Result, figure
from tests.benchmarks.synthetic_log import METRICS, T0, patients_by_partition

Say = Callable[[str], None]
Kept = dict[str, dict[str, tuple[float, int, int]]]
_WARD: Final = 24
_GOALS: Final = {"latest_values_per_core_second": "1,000,000"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """What may be asked of this benchmark."""
    parser.add_argument("--patients", type=int, default=37_500)
    parser.add_argument("--seconds", type=int, default=5, help="of data, each measured on its own")


def run(given: argparse.Namespace, say: Say) -> Result:
    """Measure; the first second makes everybody known and is not counted."""
    parts = patients_by_partition(given.patients)
    rng = np.random.default_rng(7)
    ward = Ward()
    rival: Kept = {}
    wards = [frozenset(names[at : at + _WARD]) for names in parts for at in range(0, len(names), _WARD)]
    found: dict[str, list[float]] = {"latest": [], "scores": [], "written": [], "turn": [], "rival": []}
    for second in range(given.seconds + 1):
        now_ms = T0 + 1000 * second
        frames = [_latest(names, now_ms, rng) for names in parts]
        scored = [_scores(names, now_ms, rng) for names in parts]
        measured = _measured(ward, rival, wards, frames, scored, now_ms, found["turn"])
        if second:
            for name, figure_ in measured.items():
                found[name].append(figure_)
            say(f"second {second}: " + ", ".join(f"{name} {number:,.0f}" for name, number in measured.items()))
    return Result(
        name="ward",
        inputs={"patients": given.patients, "metrics": len(METRICS), "seconds": given.seconds},
        figures={
            "latest_values_per_core_second": figure(found["latest"]),
            "scores_per_core_second": figure(found["scores"]),
            "written_values_per_core_second": figure(found["written"]),
            "turn_ms": figure(found["turn"], 2),
        },
        rivals={"rows": {"latest_values_per_core_second": figure(found["rival"])}},
        goals=_GOALS,
        notes=[f"{len(wards)} wards of {_WARD} patients were written out"],
    )


def _measured(
    ward: Ward, rival: Kept, wards: Sequence[frozenset[str]], frames: list[bytes], scored: list[bytes], now_ms: int,
    turns: list[float],
) -> dict[str, float]:
    """One second of data: each figure of it."""
    seen, patients = ward.round, sum(len(w) for w in wards)
    values = patients * len(METRICS)
    return {
        "latest": values / _cpu_s(lambda: _fold(ward, [latest_rows(decode_latest(f)) for f in frames], now_ms, turns)),
        "scores": patients / _cpu_s(lambda: _fold(ward, [score_rows(decode_scores(f)) for f in scored], now_ms, turns)),
        "written": values / _cpu_s(lambda: [ward.vitals_since(seen, w, now_ms) for w in wards]),
        "rival": values / _cpu_s(lambda: _rows(rival, [decode_latest(f) for f in frames])),
    }


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _fold(ward: Ward, batch: Sequence[LatestRows | ScoreRows], now_ms: int, turns: list[float]) -> None:
    for rows in in_turns(batch):
        began = time.perf_counter()
        if isinstance(rows, LatestRows):
            ward.fold_latest(rows, now_ms)
        else:
            ward.fold_scores(rows)
        turns.append((time.perf_counter() - began) * 1000)


def _rows(state: Kept, frames: Sequence[Latest]) -> None:
    """The rival: dictionaries, row by row."""
    for frame in frames:
        columns = [
            (metric, c.value.tolist(), c.time_ms.tolist(), c.quality.tolist()) for metric, c in frame.metrics.items()
        ]
        for row, patient in enumerate(frame.patient.tolist()):
            values = state.setdefault(patient, {})
            for metric, value, time_ms, quality in columns:
                new = (value[row], time_ms[row], quality[row])
                if values.get(metric) != new:
                    values[metric] = new


def _latest(names: tuple[str, ...], now_ms: int, rng: np.random.Generator) -> bytes:
    rows = len(names)
    return encode_latest(
        Latest(
            patient=Labels(codes=np.arange(rows, dtype=np.int32), names=names),
            tick_ms=np.full(rows, now_ms, dtype=np.int64),
            metrics={
                metric: LatestValues(
                    value=np.round(rng.normal(80, 5, rows), 1).astype(np.float32),
                    time_ms=now_ms - rng.integers(0, 1000, rows, dtype=np.int64),
                    quality=np.zeros(rows, dtype=np.uint8),
                )
                for metric in METRICS
            },
        )
    )


def _scores(names: tuple[str, ...], now_ms: int, rng: np.random.Generator) -> bytes:
    rows = len(names)
    parts = [{metric: rng.random(rows).astype(np.float32) for metric in METRICS} for _ in range(2)]
    return encode_scores(
        Scores(
            model="personal_baseline", version="1", patient=Labels(codes=np.arange(rows, dtype=np.int32), names=names),
            window_end_ms=np.full(rows, now_ms, dtype=np.int64), score=rng.random(rows).astype(np.float32),
            status=np.zeros(rows, dtype=np.uint8), contribution=parts[0], deviation=parts[1],
        )
    )  # fmt: skip
