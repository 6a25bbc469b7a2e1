"""Replay of a recording: features at a moment know what was received until then, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inference.datasets.folders import read_folder
from inference.datasets.recording import HOUR_MS, START_MS, Recording
from inference.datasets.replay import feature_sequence, feature_table, steps
from inference.features import FEATURES
from tests.inference.datasets.folders import sepsis_folder


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return read_folder(sepsis_folder(tmp_path_factory.mktemp("sepsis"), patients=12, hours=20))


def shuffled_after(recording: Recording, hour: int) -> Recording:
    values = recording.values
    later = np.flatnonzero(values.time_ms > START_MS + hour * HOUR_MS)
    value = values.value.copy()
    value[later] = np.random.default_rng(3).permutation(value[later])
    return replace(recording, values=replace(values, value=value))


def test_a_shuffled_future_changes_nothing_in_the_past(recording: Recording) -> None:
    for read in (feature_table, feature_sequence):
        before, after = read(recording), read(shuffled_after(recording, 9))
        past = recording.moments.time_ms <= START_MS + 9 * HOUR_MS
        assert before[past].tobytes() == after[past].tobytes()
        assert before[~past].tobytes() != after[~past].tobytes()


def test_a_value_that_comes_late_is_known_when_it_has_come(recording: Recording) -> None:
    late = replace(recording.values, received_ms=recording.values.received_ms + 10 * 60_000)
    table = feature_table(replace(recording, values=late))
    in_time = feature_table(recording)
    level, age = FEATURES.index("heart_rate.level"), FEATURES.index("heart_rate.age_h")
    for patient in range(3):
        rows = np.flatnonzero(recording.moments.patient == patient)
        assert np.isnan(table[rows[0], level])
        assert np.array_equal(table[rows[1:], level], in_time[rows[:-1], level], equal_nan=True)
        assert np.array_equal(table[rows[1:], age], in_time[rows[:-1], age] + 1, equal_nan=True)


def test_every_value_and_every_moment_comes_once_and_in_time(recording: Recording) -> None:
    found = list(steps(recording))
    assert sum(len(step.received) for step in found) == len(recording.values)
    assert np.array_equal(np.sort(np.concatenate([s.rows for s in found])), np.arange(len(recording.moments)))
    for step in found:
        assert (step.received.received_ms <= step.t_ms).all()
        assert (recording.moments.time_ms[step.rows] == step.t_ms).all()
