"""`vigil train` from a folder to a bundle that serves: a net, the trees and the forecaster, on made-up patients."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import InvalidInput

for package in ("torch", "lightgbm", "onnx", "safetensors"):
    pytest.importorskip(package, reason="extra `train` is not installed")

from cli.main import main  # noqa: E402
from inference.bundles import load_bundle  # noqa: E402
from inference.datasets.folders import read_folder  # noqa: E402
from inference.features import METRICS  # noqa: E402
from inference.serving.backend import BLOCK  # noqa: E402
from inference.serving.folders import SHIPPED  # noqa: E402
from inference.serving.inputs import Inputs  # noqa: E402
from inference.serving.opening import open_backend  # noqa: E402
from inference.train import classifier, forecaster, models, run, trees  # noqa: E402
from inference.train.examples import examples  # noqa: E402
from inference.train.graphs import PARITY, opened  # noqa: E402
from inference.train.lightgbm_trees import read_search  # noqa: E402
from inference.train.recipe import parse_recipe, read_recipe  # noqa: E402
from tests.inference.datasets.folders import minutes_folder, sepsis_folder  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

SMALL = """
[architecture]
bins = 4
curves = 1
hidden = 16
blocks = 1
dropout = 0.0
[fit]
learning_rate = 0.02
batch = 256
epochs = 4
negatives = 1.0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data")
    minutes_folder(data)
    return sepsis_folder(data / "sepsis2019b", patients=120)


def test_a_net_learns_what_there_is_and_its_bundle_serves(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    bundle = classifier.train(
        "deterioration_torch_dense", "torch_dense", parse_recipe(SMALL, "small"), read_folder(folder), tmp_path / "1",
        seed=1, command="vigil train", say=said.append,
    )  # fmt: skip
    manifest = load_bundle(tmp_path / "1").manifest
    assert manifest.metrics["validation_auroc_6h"] > 0.8
    assert manifest.metrics["parity"] <= PARITY
    assert manifest.training.rows_sha256 == classifier.material(
        classifier.thinned(read_folder(folder), smoke=False), "torch_dense"
    ).rows_sha256
    rows = examples(read_folder(folder), "table").inputs[:BLOCK]
    block = {"input": Inputs(manifest).array(rows)}
    native, onnx = open_backend(bundle, "native").run(block)["logits"], open_backend(bundle, "onnx").run(block)["logits"]
    assert float(np.abs(np.subtract(native, onnx)).max()) <= PARITY
    # Every number of the card was printed.
    card = bundle.files["card.md"].decode()
    assert f"{manifest.metrics['validation_auroc_6h']:.3f}" in card
    assert any(line.startswith("validation_auroc_6h") for line in said)


def test_the_same_seed_gives_the_same_net(folder: Path) -> None:
    recipe = parse_recipe(SMALL.replace("epochs = 4", "epochs = 1"), "small")
    of = classifier.material(classifier.thinned(read_folder(folder), smoke=False), "torch_dense")
    nets = [
        classifier.fitted("torch_dense", recipe, of, seed=seed, keep=None, resume=False, say=lambda _: None)[0]
        for seed in (7, 7, 8)
    ]
    first, again, other = (net.logits(of.validation.inputs) for net in nets)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_a_forecaster_carries_its_state_and_beats_persistence(folder: Path, tmp_path: Path) -> None:
    recipe = read_recipe("torch_gru").changed({"epochs": 2, "hidden": 8})
    bundle = forecaster.train(
        "forecaster_torch_gru", recipe, read_folder(folder), folder.parent / "bidmc", tmp_path / "1",
        seed=1, command="vigil train", smoke=True,
    )  # fmt: skip
    manifest = bundle.manifest
    assert manifest.forecast is not None
    assert manifest.forecast.metrics == METRICS
    assert manifest.metrics["parity"] <= PARITY
    run = opened(bundle.files["model.onnx"])
    state = np.zeros((2, manifest.forecast.state), np.float32)
    value = np.full((2, len(METRICS)), np.nan, np.float32)
    value[0, 0] = 3.0  # one patient has a fast pulse, and then no value any more
    first = run({"input": value, "state": state})
    value[0, 0] = np.nan
    second = run({"input": value, "state": first["next_state"]})
    assert second["mean"][0, 0, 0] == pytest.approx(3.0, abs=1.5)  # it is remembered
    assert abs(second["mean"][1, 0, 0]) < 1.5
    assert (second["scale"] > 0).all()


def test_the_command_trains_trees_and_takes_the_next_version(folder: Path, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(SystemExit, match="0"):
            main(["train", "deterioration_lightgbm", "--data", str(folder), "--out", str(tmp_path)])
    versions = sorted(path.name for path in (tmp_path / "deterioration_lightgbm").iterdir())
    shipped = max(int(path.name) for path in (SHIPPED / "deterioration_lightgbm").iterdir())
    assert versions == [str(shipped + 1), str(shipped + 2)]  # a version of the release is never made again
    first, second = (
        json.loads((tmp_path / "deterioration_lightgbm" / v / "manifest.json").read_text()) for v in versions
    )
    assert first["files"]["model.onnx"] == second["files"]["model.onnx"]
    assert str(folder) not in json.dumps(first)  # nothing of this machine


@pytest.mark.parametrize("name", ["deterioration_lightgbm", "deterioration_torch_dense"])
def test_a_search_begins_with_the_recipe_as_it_stands_and_says_what_to_write(name: str, folder: Path) -> None:
    said: list[str] = []
    order = run.Order(name=name, data=folder, out=folder, smoke=False)
    lines = list(run.look_for_better(order, 2, said.append))
    trials = [line for line in said if line.startswith("trial")]
    assert len(trials) == 2
    numbers = dict(line.split(" = ") for line in lines[1:])
    asked = read_search(trees.RECIPE) if name == "deterioration_lightgbm" else read_recipe("torch_dense").search
    assert set(numbers) == set(asked)
    first = trials[0].split("AUROC ")[1].split()[0]
    assert lines[0].endswith(f"the recipe as it stands has {first}")


def test_an_ensemble_trains_the_members_that_are_not_there_and_takes_those_that_are(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = {"one": "lightgbm", "two": "lightgbm", "both": "ensemble"}
    monkeypatch.setattr(models, "MODELS", trees)
    monkeypatch.setattr(run, "MEMBERS", ("one", "two"))
    order = run.Order(name="one", data=folder, out=tmp_path)
    run.make(order, lambda _: None)
    said: list[str] = []
    made = run.make(replace(order, name="both", seed=2), said.append)
    assert "two is trained first" in said
    assert "one is trained first" not in said
    assert [p.name for p in (tmp_path / "one").iterdir()] == ["1"]
    manifest = load_bundle(made).manifest
    assert manifest.architecture == {"one": "1", "two": "1"}
    assert manifest.training.command == "vigil train both --data sepsis2019b --seed 2"
    assert manifest.training.patients == len(classifier.thinned(read_folder(folder), smoke=False).patients)


def test_a_resumed_training_of_other_data_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no checkpoint"):
        classifier.train(
            "deterioration_torch_dense", "torch_dense", parse_recipe(SMALL, "small"), read_folder(folder), tmp_path / "1",
            seed=1, command="vigil train", keep=tmp_path / "c.safetensors", resume=True,
        )  # fmt: skip


def test_patients_without_an_event_cannot_train(tmp_path: Path) -> None:
    recording = read_folder(sepsis_folder(tmp_path / "a", patients=40))
    healthy = recording.of_patients(recording.event_ms == np.iinfo(np.int64).max)
    with pytest.raises(InvalidInput, match="need both"):
        classifier.material(healthy, "torch_dense")
