"""Minutes for the forecaster: charted values stay what they are, and what lies between has the texture of real minutes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from contracts.errors import InvalidInput
from inference.datasets.folders import read_folder
from inference.datasets.minutes import (
    CROP_H,
    MINUTES,
    Texture,
    bridged,
    filled,
    hourly_change,
    hours_of,
    real_minutes,
    scaled,
    starts,
    texture,
)
from inference.features import METRICS
from inference.features.layout import CENTRES, SPREADS
from tests.inference.datasets.folders import sepsis_folder

HEART = METRICS.index("heart_rate")
GRAIN = Texture(
    walk=np.full(len(METRICS), 0.1, np.float32), noise=np.full(len(METRICS), 0.2, np.float32),
    differs=np.full(len(METRICS), 0.3, np.float32), measured=np.ones(len(METRICS), np.bool_),
)  # fmt: skip


def test_charted_values_stay_and_an_hour_that_was_not_charted_stays_empty() -> None:
    hours = np.zeros((CROP_H + 1, len(METRICS)), dtype=np.float32)
    hours[:, HEART] = [1, 2, np.nan, 3]
    found = filled(hours, np.array([0]), GRAIN, np.random.default_rng(0))[0, :, HEART]
    assert found.shape == (MINUTES,)
    np.testing.assert_array_equal(found[[0, 60, 180]], [1, 2, 3])
    #  hour 0 charted, 1 charted, 2 not, 3 charted: minutes 1 to 59 are bridged, 61 to 179 are not
    assert not np.isnan(found[:61]).any()
    assert np.isnan(found[61:180]).all()


def test_a_crop_never_goes_from_one_patient_to_the_next(tmp_path: Path) -> None:
    recording = read_folder(sepsis_folder(tmp_path, patients=6, hours=10))
    hours, patient = hours_of(recording)
    begin = starts(hours, patient)
    assert len(begin) > 6
    assert (patient[begin] == patient[begin + CROP_H]).all()
    of_first = hours[patient == 0][:, HEART]
    value = recording.values
    first = np.flatnonzero((value.patient == 0) & (value.metric == recording.metrics.index("heart_rate")))[0]
    wanted = scaled(np.full(len(METRICS), value.value[first], np.float32))[HEART]
    assert of_first[~np.isnan(of_first)][0] == wanted


def test_the_texture_that_made_minutes_is_found_again() -> None:
    rng = np.random.default_rng(3)
    path = np.cumsum(rng.normal(0, 0.3, (400, 40, len(METRICS))), axis=1) + rng.normal(0, 0.5, (400, 40, len(METRICS)))
    path[..., 1] = np.nan
    hourly = np.where(np.arange(len(METRICS)) == 1, 0.5, 2.0).astype(np.float32)
    found = texture(path.astype(np.float32), hourly)
    assert found.walk[0] == pytest.approx(0.3, rel=0.15)
    assert found.noise[0] == pytest.approx(0.5, rel=0.15)
    assert found.differs[0] < 0.1  # all records are alike
    assert not found.measured[1]
    # Of what was not measured: a quarter of the others' change from hour to hour, so a quarter of their texture.
    assert found.walk[1] == pytest.approx(float(np.mean(np.delete(found.walk, 1))) / 4, rel=1e-5)
    assert found.noise[1] == pytest.approx(float(np.mean(np.delete(found.noise, 1))) / 4, rel=1e-5)
    with pytest.raises(InvalidInput, match="too few"):
        texture(np.full((3, 8, len(METRICS)), np.nan, np.float32), hourly)


def test_records_differ_as_they_were_made_to_and_minutes_come_in_whole_numbers() -> None:
    rng = np.random.default_rng(4)
    knots = np.zeros((600, 2, len(METRICS)), dtype=np.float32) + scaled(np.array(CENTRES, np.float32))
    found = bridged(knots, GRAIN, rng)
    heart = found[..., HEART] * SPREADS[HEART] + CENTRES[HEART]
    np.testing.assert_allclose(heart, np.round(heart), atol=1e-3)
    coarse = Texture(walk=GRAIN.walk * 9, noise=GRAIN.noise * 9, differs=GRAIN.differs * 2, measured=GRAIN.measured)
    again = texture(bridged(knots, coarse, rng)[:, 20:40], np.ones(len(METRICS), np.float32))
    assert again.differs[HEART] == pytest.approx(0.6, rel=0.15)
    assert again.noise[HEART] == pytest.approx(1.8, rel=0.15)


def test_what_a_vital_changes_from_hour_to_hour_is_told_within_patients_alone() -> None:
    patient = np.repeat(np.arange(200, dtype=np.int32), 6)
    rng = np.random.default_rng(5)
    hours = (np.repeat(rng.normal(0, 50, 200), 6) + rng.normal(0, 1, 1200))[:, None] + np.zeros((1, 3))
    hours[:, 1] = np.nan
    found = hourly_change(hours.astype(np.float32), patient)
    assert found[0] == pytest.approx(np.sqrt(2), rel=0.1)
    assert found[1] == 1


def test_a_minute_is_the_median_of_its_seconds_when_half_of_them_are_there(tmp_path: Path) -> None:
    second = np.arange(180)
    heart = np.where(second < 60, 70.0, 90.0)
    heart[60:95] = np.nan  # 25 seconds of the second minute are left
    heart[10] = 200  # one artefact
    table = {"record": ["a"] * 180, "t_s": second, "hr": heart, "resp": [15.0] * 180, "spo2": [97.0] * 180}
    pa.parquet.write_table(pa.table(table), tmp_path / "numerics_1hz.parquet")
    found, names = real_minutes(tmp_path)
    wanted = scaled(np.full((1, len(METRICS)), 70, np.float32))[0, HEART]
    assert names == ("a",)
    assert found[0, 0, HEART] == wanted
    assert np.isnan(found[0, 1, HEART])
    assert np.isnan(found[0, :, METRICS.index("systolic_bp")]).all()
