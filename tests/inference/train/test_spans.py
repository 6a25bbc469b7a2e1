"""Spans before the one moment of a patient: what each column says, and that nothing that came later has a part in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inference.datasets.recording import HOUR_MS, NEVER_MS, Moments, Recording, Values
from inference.train.spans import PARTS, SPANS_H, WHOLE, spans_table

END = 48 * HOUR_MS
PATIENTS, COUNT = 6, 240


@pytest.fixture
def recording() -> Recording:
    """Patients in another order than their moments; the last one has no value at all."""
    rng = np.random.default_rng(4)
    time_ms = np.sort(rng.integers(0, END, COUNT))
    return Recording(
        name="made up", licence="", citation="", patients=tuple("abcdef"), metrics=("lactate", "ph"),
        values=Values(
            patient=rng.integers(0, PATIENTS - 1, COUNT).astype(np.int32), metric=rng.integers(0, 2, COUNT).astype(np.int32),
            time_ms=time_ms, received_ms=time_ms, value=rng.normal(7, 1, COUNT).astype(np.float32),
        ),
        moments=Moments(
            patient=np.array([3, 0, 5, 1, 4, 2], dtype=np.int32), time_ms=np.full(PATIENTS, END), label=np.zeros(6, np.uint8)
        ),
        event_ms=np.full(PATIENTS, NEVER_MS), timed=False, by_hour=False,
    )  # fmt: skip


def test_each_column_is_what_its_name_says(recording: Recording) -> None:
    names, table = spans_table(recording, ("ph", "lactate"))
    assert len(names) == 2 * (len(SPANS_H) * len(PARTS) + len(WHOLE)) == table.shape[1]
    values = recording.values
    for row, patient in enumerate(recording.moments.patient):
        for metric, name in enumerate(recording.metrics):
            mine = (values.patient == patient) & (values.metric == metric)
            hour, value = values.time_ms[mine] / HOUR_MS, values.value[mine].astype(np.float64)
            said = dict(zip(names, table[row], strict=True))
            for low, high in SPANS_H:
                some = value[(48 - hour >= low) & (48 - hour < high)]
                found = [said[f"{name}.{part}_{low}_{high}h"] for part in PARTS]
                wanted = [some.mean(), some.min(), some.max(), len(some)] if len(some) else [np.nan] * 3 + [0]
                np.testing.assert_allclose(found, wanted, rtol=1e-5)
            whole = [np.median(value), np.polyfit(hour, value, 1)[0]] if len(value) >= 3 else [np.nan] * 2
            np.testing.assert_allclose([said[f"{name}.{part}"] for part in WHOLE], whole, rtol=1e-3, atol=1e-6)


def test_what_is_received_after_the_moment_changes_nothing(recording: Recording) -> None:
    rng = np.random.default_rng(5)
    late = rng.random(COUNT) < 0.5
    values = recording.values
    received = replace(recording, values=replace(values, received_ms=np.where(late, END + 1, values.received_ms)))
    shuffled = np.where(late, rng.permutation(values.value), values.value)
    other = replace(received, values=replace(received.values, value=shuffled))
    np.testing.assert_array_equal(spans_table(received, ("ph",))[1], spans_table(other, ("ph",))[1])
