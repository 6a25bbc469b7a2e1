"""Organ points: those of the score's tables, a rise where there is one, and never anything from the future."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.datasets.folders import read_folder
from inference.datasets.recording import HOUR_MS, NEVER_MS, START_MS, Moments, Recording, by_arrival
from inference.train.organs import organs_table
from tests.inference.datasets.folders import sepsis_folder

NAN = float("nan")


def one_patient(hours: int, **values: dict[int, float]) -> Recording:
    """Values by metric and hour, and a moment an hour."""
    rows = [(k, hour, value) for k, of in enumerate(values.values()) for hour, value in of.items()]
    metric, hour, value = (np.array(column) for column in zip(*rows, strict=True))
    return Recording(
        name="made up", licence="CC0-1.0", citation="none", patients=("p",), metrics=tuple(values),
        values=by_arrival(
            patient=np.zeros(len(rows), np.int32), metric=metric.astype(np.int32),
            time_ms=START_MS + hour.astype(np.int64) * HOUR_MS, value=value.astype(np.float32),
        ),
        moments=Moments(
            patient=np.zeros(hours, np.int32), time_ms=START_MS + np.arange(hours, dtype=np.int64) * HOUR_MS,
            label=np.zeros(hours, np.uint8),
        ),
        event_ms=np.array([NEVER_MS]), timed=True, by_hour=True,
    )  # fmt: skip


def columns(recording: Recording) -> dict[str, list[float]]:
    names, table = organs_table(recording)
    return {name: table[:, k].tolist() for k, name in enumerate(names)}


@pytest.mark.parametrize(
    ("metric", "value", "points"),
    [
        ("platelets", 150, 0), ("platelets", 149, 1), ("platelets", 19, 4),
        ("creatinine", 1.1, 0), ("creatinine", 1.2, 1), ("creatinine", 5, 4),
        ("bilirubin_total", 6, 3), ("mean_bp", 70, 0), ("mean_bp", 69, 1),
    ],
)  # fmt: skip
def test_points_are_those_of_the_score(metric: str, value: float, points: int) -> None:
    found = columns(one_patient(1, **{metric: {0: value}}))
    assert found[f"{metric}.points"] == [points]
    assert found["organs.total"] == [points]
    assert found["organs.known"] == [1]


def test_oxygenation_takes_spo2_for_what_is_not_measured() -> None:
    found = columns(one_patient(1, spo2={0: 90}, inhaled_oxygen={0: 50}))
    assert found["oxygenation"] == [180]
    assert found["oxygenation.points"] == [3]


def test_a_rise_is_one_over_the_lowest_of_the_day_and_is_forgotten_after_it() -> None:
    found = columns(one_patient(40, creatinine={0: 1.0, 5: 4.0, 30: 4.0}))
    assert found["organs.new"][:7] == [0, 0, 0, 0, 0, 3, 3]
    assert found["organs.new"][27] == 3  # hour 4, before the rise, is in sight
    assert found["organs.new"][28] == 0
    assert found["organs.worst"][39] == 3
    assert found["creatinine.risen"][39] == 3


def test_what_is_old_is_no_longer_known() -> None:
    found = columns(one_patient(40, platelets={0: 40}))
    assert found["platelets.points"][36] == 3
    assert np.isnan(found["platelets.points"][37])
    assert found["organs.known"][37] == 0


def test_it_is_told_how_much_is_measured() -> None:
    found = columns(one_patient(9, lactate={1: 2.0, 2: 3.0}, ph={2: 7.3}, heart_rate={0: 80}))
    assert found["laboratory.now"] == [0, 1, 2, 0, 0, 0, 0, 0, 0]
    assert found["laboratory.most_in_6h"] == [0, 1, 2, 2, 2, 2, 2, 2, 0]
    assert found["laboratory.count"][-1] == 3
    assert found["laboratory.since_h"][-1] == 6


def test_a_shuffled_future_changes_nothing_before_it_and_nobody_else(tmp_path: Path) -> None:
    recording = read_folder(sepsis_folder(tmp_path, patients=12, hours=30))
    cut = START_MS + 15 * HOUR_MS
    values = recording.values
    later = (values.time_ms > cut) & (values.patient < 6)
    value = values.value.copy()
    value[later] = np.random.default_rng(1).permutation(value[later])
    before = organs_table(recording)[1]
    after = organs_table(replace(recording, values=replace(values, value=value)))[1]
    untouched = (recording.moments.time_ms <= cut) | (recording.moments.patient >= 6)
    assert before[untouched].tobytes() == after[untouched].tobytes()
    assert before[~untouched].tobytes() != after[~untouched].tobytes()
