"""Training examples: what is to be foreseen, and which patients may be looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contracts.errors import InvalidInput
from inference.datasets.folders import read_folder
from inference.datasets.recording import HOUR_MS, NEVER_MS
from inference.datasets.split import Part, members
from inference.features import CHANNELS, FEATURE_SET, FEATURE_SETS, HOURS
from inference.train.examples import examples, targets
from tests.inference.datasets.folders import mortality_folder, sepsis_folder


def test_a_horizon_holds_from_its_hours_before_the_event_on(tmp_path: Path) -> None:
    recording = read_folder(sepsis_folder(tmp_path, patients=12))
    found = targets(recording, (1.0, 6.0, 24.0))
    moments = recording.moments
    event_ms = recording.event_ms[moments.patient]
    never = event_ms == NEVER_MS
    assert (found[never] == 0).all()
    for k, hours in enumerate((1, 6, 24)):
        np.testing.assert_array_equal(found[~never, k] > 0, moments.time_ms[~never] >= event_ms[~never] - hours * HOUR_MS)
    # Of six hours it is the label that the challenge gives.
    np.testing.assert_array_equal(found[:, 1], moments.label)


def test_rows_come_in_the_order_of_moments_and_their_digest_shows_any_change(tmp_path: Path) -> None:
    recording = read_folder(sepsis_folder(tmp_path, patients=8))
    table, sequence = examples(recording, "table"), examples(recording, "sequence")
    assert table.inputs.shape == (len(recording.moments), len(FEATURE_SETS[FEATURE_SET]))
    assert sequence.inputs.shape == (len(recording.moments), HOURS, len(CHANNELS))
    assert table.sha256() == examples(recording, "table").sha256()
    table.targets[3, 0] = 1 - table.targets[3, 0]
    assert table.sha256() != examples(recording, "table").sha256()


def test_what_has_no_time_cannot_be_foreseen(tmp_path: Path) -> None:
    recording = read_folder(mortality_folder(tmp_path))
    with pytest.raises(InvalidInput, match="when an event happened"):
        examples(recording, "table")


def test_locked_patients_are_taken_out_before_anything_is_looked_at(tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="extra `train` is not installed")
    from inference.train.classifier import thinned

    recording = read_folder(sepsis_folder(tmp_path, patients=60))
    allowed = thinned(recording, smoke=False)
    assert not members(allowed.patients, Part.LOCKED).any()
    assert len(allowed.patients) == int((~members(recording.patients, Part.LOCKED)).sum())
