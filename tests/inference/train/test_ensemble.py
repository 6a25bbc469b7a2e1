"""The calibration of an ensemble: the same probability whoever of its members is there, and never of other patients."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import InvalidInput

for package in ("onnx", "safetensors"):
    pytest.importorskip(package, reason="extra `train` is not installed")

from inference.datasets.folders import read_folder  # noqa: E402
from inference.datasets.recording import NEVER_MS  # noqa: E402
from inference.datasets.split import Part, members  # noqa: E402
from inference.evaluate.policies import POLICIES  # noqa: E402
from inference.evaluate.scorers import bundle  # noqa: E402
from inference.serving.members import logits  # noqa: E402
from inference.train import ensemble, held_out  # noqa: E402
from inference.train.calibration import probability  # noqa: E402
from inference.train.held_out import HeldOut  # noqa: E402
from tests.inference.datasets.folders import sepsis_folder  # noqa: E402
from tests.inference.serving.graphs import classifier  # noqa: E402

PATIENTS, HOURS = 300, 24


@functools.cache
def outcome() -> tuple[np.ndarray, np.ndarray]:
    """Three logits of some hours, each the truth and noise of its own, and what happened."""
    rng = np.random.default_rng(2)
    truth = rng.normal(-3, 1.5, PATIENTS * HOURS)
    said = np.stack([truth + rng.normal(0, noise, len(truth)) for noise in (0.5, 1.0, 2.0)], axis=1)
    happened = rng.random(len(truth)) < 1 / (1 + np.exp(-truth))
    return said.astype(np.float32), happened.astype(np.float32)


def member(out: Path, name: str, k: int, *, shift_ms: int = 0) -> Path:
    said, happened = outcome()
    folder = out / name / "1"
    classifier(folder, name=name, bias=0.3 * k)
    hour = np.arange(len(said), dtype=np.int64) % HOURS
    rows = HeldOut(
        logit=said[:, k].copy(), happened=happened,
        patient=(np.arange(len(said)) // HOURS).astype(np.int32), time_ms=hour * 3_600_000 + shift_ms,
        event_ms=np.where(np.arange(len(said)) // HOURS % 5 == 0, (HOURS - 2) * 3_600_000, NEVER_MS),
    )  # fmt: skip
    held_out.save(folder, rows)
    return folder


def test_every_set_of_members_is_calibrated_for_itself() -> None:
    said, happened = outcome()
    slopes, intercepts = ensemble.calibrations(said, happened)
    for chosen in range(1, 8):
        mean = said[:, [k for k in range(3) if chosen >> k & 1]].mean(axis=1)
        risk = probability(mean, float(slopes[chosen]), float(intercepts[chosen]))
        assert risk.mean() == pytest.approx(happened.mean(), rel=0.01)
        for part in np.array_split(np.argsort(risk), 4):
            assert risk[part].mean() == pytest.approx(happened[part].mean(), abs=0.03)
    assert slopes[7] > slopes[4] + 0.2  # alone the noisiest is too sure of itself
    assert (slopes[0], intercepts[0]) == (1, 0)


def test_an_ensemble_is_a_bundle_that_is_evaluated_with_the_members_beside_it(tmp_path: Path) -> None:
    parts = [member(tmp_path, name, k) for k, name in enumerate(("toy_a", "toy_b"))]
    said: list[str] = []
    made = ensemble.train(
        "toy_all", parts, tmp_path / "toy_all" / "1", seed=1, command="vigil train toy_all", say=said.append
    )
    manifest = made.manifest
    assert manifest.architecture == {"toy_a": "1", "toy_b": "1"}
    assert manifest.metrics["validation_auroc_6h"] > manifest.metrics["validation_auroc_toy_b"]
    assert list(manifest.finding) == list(POLICIES)
    assert all(0 < level < 1 for levels in manifest.finding.values() for level in levels.values())
    assert any(line.startswith("validation_auroc_6h") for line in said)
    assert f"{manifest.metrics['validation_auroc_6h']:.3f}" in made.files["card.md"].decode()

    recording = read_folder(sepsis_folder(tmp_path / "data", patients=8, hours=6))
    together, first, second = (bundle(path)(recording).score for path in (tmp_path / "toy_all" / "1", *parts))
    slopes, intercepts = ensemble.calibrations(outcome()[0][:, :2], outcome()[1])
    mean = (logits(first) + logits(second)) / 2
    assert np.array_equal(np.isnan(together), np.isnan(first))
    known = ~np.isnan(together)
    assert together[known] == pytest.approx(probability(mean[known], slopes[3], intercepts[3]), rel=1e-4)


def test_a_bundle_that_validation_patients_have_not_taught_is_asked_later(tmp_path: Path) -> None:
    recording = read_folder(sepsis_folder(tmp_path / "data", patients=40, hours=8))
    count = {part: int(members(recording.patients, part).sum()) for part in Part}
    training = classifier(tmp_path / "any").manifest.training
    for name, patients, expected in (("ours", count[Part.TRAIN], True), ("both", count[Part.TRAIN] + 1, False)):
        folder = tmp_path / name / "1"
        classifier(folder, name=name, training=training.model_copy(update={"data": recording.name, "patients": patients}))
        assert held_out.ask(folder, recording) is expected
        assert held_out.kept(folder) is expected
    found = held_out.load(tmp_path / "ours" / "1")
    checked = recording.of_patients(members(recording.patients, Part.VALIDATION))
    score = bundle(tmp_path / "ours" / "1")(checked).score
    assert len(found.logit) == len(checked.moments)
    known = ~np.isnan(score)  # an hour without any value has no score, but a logit
    assert 1 / (1 + np.exp(-found.logit[known])) == pytest.approx(score[known], rel=1e-4)
    assert np.array_equal(found.happened, checked.moments.label)


def test_members_that_speak_of_other_patients_or_kept_nothing_are_refused(tmp_path: Path) -> None:
    first, late = member(tmp_path, "toy_a", 0), member(tmp_path, "toy_b", 1, shift_ms=1)
    with pytest.raises(InvalidInput, match="other patients"):
        ensemble.train("toy_all", [first, late], tmp_path / "toy_all" / "1", seed=1, command="none")
    silent = tmp_path / "toy_c" / "1"
    classifier(silent, name="toy_c")
    with pytest.raises(InvalidInput, match="validation patients"):
        ensemble.train("toy_all", [first, silent], tmp_path / "toy_all" / "1", seed=1, command="none")
    with pytest.raises(InvalidInput, match="2 to"):
        ensemble.train("toy_all", [first], tmp_path / "toy_all" / "1", seed=1, command="none")
