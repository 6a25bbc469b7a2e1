"""Features of values that are measured now and then: what is known at a moment, and nothing that comes later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.datasets.folders import read_folder
from inference.datasets.recording import HOUR_MS, Recording
from inference.train.series import PARTS, context_table, series_table
from tests.inference.datasets.folders import sepsis_folder


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return read_folder(sepsis_folder(tmp_path_factory.mktemp("sepsis"), patients=8, hours=25))


def test_each_part_is_what_a_loop_over_the_values_finds(recording: Recording) -> None:
    names, table = series_table(recording, ["lactate", "creatinine"])
    assert names[: len(PARTS)] == tuple(f"lactate.{part}" for part in PARTS)
    values, moments = recording.values, recording.moments
    of = values.metric == recording.metrics.index("creatinine")
    for row in range(0, len(moments), 7):
        seen = of & (values.patient == moments.patient[row]) & (values.received_ms <= moments.time_ms[row])
        value, time_ms = values.value[seen], values.time_ms[seen]
        found = table[row, len(PARTS) :]
        recent = value[values.received_ms[seen] > moments.time_ms[row] - 12 * HOUR_MS]
        assert found[[6, 10]].tolist() == [len(value), len(recent)]
        if not len(value):
            assert np.isnan(np.delete(found, [6, 10])).all()
            continue
        assert found[7] == value[0]
        std = value.std() if len(value) > 1 else np.nan
        assert found[8] == pytest.approx(std, nan_ok=True, rel=1e-4, abs=1e-4)
        assert found[9] == pytest.approx(recent.mean() if len(recent) else np.nan, nan_ok=True, rel=1e-5)
        expected = [
            value[-1],
            (moments.time_ms[row] - time_ms[-1]) / HOUR_MS,
            np.nan,
            value.min(),
            value.max(),
            value.mean(),
        ]
        if len(value) > 1:
            expected[2] = value[-1] - value[-2]
        assert found[:6] == pytest.approx(expected, nan_ok=True, rel=1e-5)


def test_a_shuffled_future_changes_nothing_in_the_past(recording: Recording) -> None:
    cut = int(np.median(recording.moments.time_ms))
    later = recording.values.time_ms > cut
    value = recording.values.value.copy()
    value[later] = np.random.default_rng(1).permutation(value[later])
    other = replace(recording, values=replace(recording.values, value=value))
    past = recording.moments.time_ms <= cut
    before, after = (series_table(r, ["lactate", "glucose"])[1] for r in (recording, other))
    # A running mean is a difference of sums over all patients, so its last bits may differ.
    assert before[past] == pytest.approx(after[past], nan_ok=True, rel=1e-5)


def test_context_stands_apart_and_counts_the_hours_of_the_stay(recording: Recording) -> None:
    names, table = context_table(recording)
    assert names == ("age", "male", "medical_unit", "admitted_h", "stay_h")
    rows = recording.moments.patient == 3
    assert table[rows, 4].tolist() == list(range(25))
    assert (table[rows, 0] == recording.context["age"][3]).all()


def test_a_metric_without_values_is_missing(tmp_path: Path) -> None:
    recording = read_folder(sepsis_folder(tmp_path, patients=2, hours=3))
    none = recording.values.take(recording.values.metric != recording.metrics.index("lactate"))
    _, table = series_table(replace(recording, values=none), ["lactate"])
    counts = [PARTS.index("count"), PARTS.index("count_12h")]
    assert (table[:, counts] == 0).all()
    assert np.isnan(np.delete(table, counts, axis=1)).all()
