"""Do the rivals the work that they are measured at? Every window and crossing that one sent, against plain NumPy."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from confluent_kafka import TopicPartition

from contracts.readings import Readings
from contracts.topics import PARTITIONS
from contracts.vitals import CATALOGUE
from infra.runtime.kafka import consumer
from infra.runtime.settings import Settings
from tests.benchmarks.rivals.measure import length
from tests.benchmarks.rivals.work import GRACE_MS, HOP_MS, LIMITS, SPAN_MS

_STATISTICS: Final = ("count", "mean", "std", "min", "max", "first", "last")
_MOST_TOLD: Final = 5
_LIMIT_S: Final = 60.0

Series = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]
Key = tuple[str, str, int]


def differences(settings: Settings, output: str, readings: Sequence[Readings]) -> tuple[list[str], int]:
    """What is wrong with the outputs of one run, a few lines at most, and how many windows were compared.

    A window must come once and be right. It must have come when its series goes on for grace and one hop after it: the
    frameworks differ in which reading closes a window.
    """
    series = _series(readings)
    windows: Counter[Key] = Counter()
    crossings: Counter[Key] = Counter()
    wrong: list[str] = []
    for message in _messages(settings, output):
        if "crossed" in message:
            crossings[message["patient"], message["metric"], message["time"]] += 1
            continue
        key = (message["patient"], message["metric"], message["start"])
        windows[key] += 1
        wanted = _statistics(series[key[:2]], message["start"])
        got = [message[name] for name in _STATISTICS]
        # Sums of squares lose some digits of a spread; the readings are 32-bit numbers anyway.
        if wanted is None or not np.allclose(got, wanted, rtol=1e-6, atol=1e-4) or got[0] != wanted[0]:
            wrong.append(f"window {key}: {got} instead of {wanted}")
    wrong += [f"window {key} came {times} times" for key, times in windows.items() if times > 1]
    wrong += [f"window {key} is missing" for key in _due(series) if key not in windows]
    if crossings != _crossings(series):
        wrong.append(f"{crossings.total()} crossings of limits instead of {_crossings(series).total()}")
    return wrong[:_MOST_TOLD], len(windows)


def _series(readings: Sequence[Readings]) -> dict[tuple[str, str], Series]:
    """Times and values of each patient and metric."""
    rows: dict[tuple[str, str], tuple[list[int], list[float]]] = {}
    for batch in readings:
        columns = zip(batch.patient.codes.tolist(), batch.metric.tolist(), batch.time_ms.tolist(), batch.value.tolist(),
                      strict=True)  # fmt: skip
        for patient, metric, time_ms, value in columns:
            times, values = rows.setdefault((batch.patient.names[patient], CATALOGUE[metric].name), ([], []))
            times.append(time_ms)
            values.append(value)
    return {key: (np.array(times), np.array(values)) for key, (times, values) in rows.items()}


def _statistics(series: Series, start: int) -> list[float] | None:
    times, values = series
    inside = values[(times >= start) & (times < start + SPAN_MS)]
    if not len(inside):
        return None
    return [len(inside), *map(float, (inside.mean(), inside.std(), inside.min(), inside.max(), inside[0], inside[-1]))]


def _due(series: dict[tuple[str, str], Series]) -> list[Key]:
    """Windows that must have been sent."""
    found: list[Key] = []
    for (patient, metric), (times, _) in series.items():
        first = int(times[0]) // HOP_MS * HOP_MS - SPAN_MS + HOP_MS
        last = int(times[-1]) - GRACE_MS - HOP_MS - SPAN_MS
        found += [(patient, metric, start) for start in range(first, last + 1, HOP_MS)]
    return found


def _crossings(series: dict[tuple[str, str], Series]) -> Counter[Key]:
    found: Counter[Key] = Counter()
    for (patient, metric), (times, values) in series.items():
        low, high = (np.nan if side is None else side for side in LIMITS[metric])
        found.update((patient, metric, int(at)) for at in times[(values < low) | (values > high)])
    return found


def _messages(settings: Settings, topic: str) -> list[dict[str, Any]]:
    client = consumer(settings)
    try:
        parts = [TopicPartition(settings.topic(topic), number, 0) for number in range(PARTITIONS)]
        wanted = length(settings, topic)
        client.assign(parts)
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + _LIMIT_S
        while len(found) < wanted and time.monotonic() < deadline:
            found += [json.loads(message.value() or b"") for message in client.consume(1000, 1.0) if not message.error()]
        return found
    finally:
        client.close()
