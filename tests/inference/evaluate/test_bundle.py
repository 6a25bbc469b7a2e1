"""A trained model from its folder: scored by what the stream computes, and on patients it has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contracts.errors import VigilError
from inference.datasets.folders import read_folder
from inference.datasets.replay import feature_table
from inference.datasets.split import Part, members
from inference.evaluate.scorers import bundle, saw
from inference.features import FEATURES, METRICS
from tests.inference.datasets.folders import sepsis_folder
from tests.inference.serving.graphs import classifier, forecaster


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return sepsis_folder(tmp_path / "data", patients=10, hours=6)


def test_the_score_is_a_probability_wherever_a_vital_is_known(data: Path, tmp_path: Path) -> None:
    recording = read_folder(data)
    classifier(tmp_path / "model")
    found = bundle(tmp_path / "model")(recording)
    levels = feature_table(recording)[:, [FEATURES.index(f"{metric}.level") for metric in METRICS]]
    assert np.array_equal(np.isfinite(found.score), np.isfinite(levels).any(axis=1))
    assert found.probability
    known = found.score[np.isfinite(found.score)]
    assert ((known > 0) & (known < 1)).all()
    assert len(np.unique(known)) > 10


def test_a_forecaster_is_no_score_of_who_gets_ill(tmp_path: Path) -> None:
    forecaster(tmp_path / "model")
    with pytest.raises(VigilError, match="forecaster"):
        bundle(tmp_path / "model")


def test_a_model_is_known_to_have_seen_the_recording_it_was_trained_on(data: Path, tmp_path: Path) -> None:
    recording = read_folder(data)
    count = int(members(recording.patients, Part.TRAIN).sum())
    manifest = classifier(tmp_path / "other").manifest.training
    for name, patients, expected in (("sepsis2019b", count, True), ("sepsis2019b", 9999, False), ("ward", count, False)):
        folder = tmp_path / f"{name}_{patients}"
        classifier(folder, training=manifest.model_copy(update={"data": name, "patients": patients}))
        assert saw(folder, recording) is expected
