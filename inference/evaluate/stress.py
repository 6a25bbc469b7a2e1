"""The same recording with something wrong with it: what a score loses when a sensor fails, data come late, or a value sticks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from inference.datasets.recording import HOUR_MS, Recording, Values
from inference.features import METRICS

Stress = Callable[[Recording], Recording]


def stresses(recording: Recording, seed: int) -> Mapping[str, Stress]:
    """By name, in a fixed order; only vitals that the recording has are dropped."""
    found: dict[str, Stress] = {
        f"without {metric}": _without(metric) for metric in METRICS if metric in recording.metrics
    }
    return {
        **found,
        "half of all values missing": lambda r: _kept(r, np.random.default_rng(seed).random(len(r.values)) < 0.5),
        "all values ten minutes late": _late,
        "device clock three minutes slow": _slow,
        "one value in fifty an artefact": lambda r: _artefacts(r, seed),
        "values stuck for the second half": _stuck,
    }


def _kept(recording: Recording, rows: np.typing.NDArray[np.bool_]) -> Recording:
    return replace(recording, values=recording.values.take(rows))


def _without(metric: str) -> Stress:
    return lambda r: _kept(r, r.values.metric != r.metrics.index(metric))


def _late(recording: Recording) -> Recording:
    values = recording.values
    return replace(recording, values=_sorted(replace(values, received_ms=values.received_ms + 10 * 60_000)))


def _slow(recording: Recording) -> Recording:
    values = recording.values
    return replace(recording, values=replace(values, time_ms=values.time_ms - 3 * 60_000))


def _artefacts(recording: Recording, seed: int) -> Recording:
    """A value is doubled or halved, as a loose lead counts beats twice or not at all."""
    rng = np.random.default_rng(seed)
    values = recording.values
    factor = np.where(rng.random(len(values)) < 0.5, np.float32(2), np.float32(0.5))
    hit = rng.random(len(values)) < 0.02
    return replace(recording, values=replace(values, value=np.where(hit, values.value * factor, values.value)))


def _stuck(recording: Recording) -> Recording:
    """From the middle of each stay on, every metric repeats its last value: the sensor has come to a standstill."""
    moments, values = recording.moments, recording.values
    first = np.full(len(recording.patients), np.iinfo(np.int64).max, dtype=np.int64)
    last = np.zeros(len(recording.patients), dtype=np.int64)
    np.minimum.at(first, moments.patient, moments.time_ms)
    np.minimum.at(first, values.patient, values.time_ms)  # where a patient is scored once, the stay began before
    np.maximum.at(last, moments.patient, moments.time_ms)
    middle = (first + (last - first) // 2) // HOUR_MS * HOUR_MS
    order = np.lexsort((values.time_ms, values.metric, values.patient))
    late = values.time_ms[order] > middle[values.patient[order]]
    series = values.patient[order].astype(np.int64) * len(recording.metrics) + values.metric[order]
    begins = np.append(True, series[1:] != series[:-1]) if len(series) else np.zeros(0, dtype=np.bool_)
    # The last row before the middle; a series without one keeps its first value.
    place = np.where(late & ~begins, 0, np.arange(len(order)))
    held = values.value[order][np.maximum.accumulate(place)]
    value = values.value.copy()
    value[order] = np.where(late, held, values.value[order])
    return replace(recording, values=replace(values, value=value))


def _sorted(values: Values) -> Values:
    return values.take(np.argsort(values.received_ms, kind="stable"))
