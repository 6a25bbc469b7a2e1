"""The bundles that ship: whole, small, of data that may be used, and the same in their own framework on real rows."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

from inference.bundles import MANIFEST, NATIVE, load_bundle
from inference.datasets.folders import read_folder
from inference.datasets.recording import Recording
from inference.datasets.replay import feature_sequence, feature_table
from inference.datasets.split import share
from inference.serving.backend import in_blocks
from inference.serving.folders import SHIPPED
from inference.serving.inputs import Inputs
from inference.serving.members import KINDS
from inference.serving.opening import open_backend

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

BUNDLES = sorted(path.parent for path in SHIPPED.glob("*/*/manifest.json"))
PACKAGES = {"pytorch": "torch", "tensorflow": "tensorflow", "lightgbm": "lightgbm"}
# What is asked for each row: an ensemble has no framework, and a forecaster's parity over carried states is a condition of
# its export, as an ensemble's parity with its formula is.
IN_A_FRAMEWORK = [folder for folder in BUNDLES if json.loads((folder / MANIFEST).read_text())["kind"] in KINDS]
PARITY = 1e-5


def each(folders: list[Path]) -> pytest.MarkDecorator:
    """One test a bundle, called as its model is."""
    return pytest.mark.parametrize("folder", folders, ids=lambda folder: folder.parent.name)


def test_there_are_bundles() -> None:
    assert BUNDLES


@each(BUNDLES)
def test_a_shipped_bundle_is_whole_small_and_says_where_it_is_from(folder: Path) -> None:
    bundle = load_bundle(folder)
    manifest = bundle.manifest
    assert (manifest.name, manifest.version) == (folder.parent.name, folder.name)
    assert len(bundle.files["model.onnx"]) < 300_000
    assert manifest.framework == "onnx" or NATIVE[manifest.framework] in bundle.files
    assert "CC BY 4.0" in manifest.training.licence
    assert manifest.training.command.startswith(f"vigil train {manifest.name} --data ")
    assert manifest.metrics["parity"] <= PARITY
    assert "Not a medical device" in bundle.files["card.md"].decode()


def test_an_ensemble_ships_with_the_members_that_calibrated_it() -> None:
    manifests = {folder.parent.name: load_bundle(folder).manifest for folder in BUNDLES}
    for manifest in manifests.values():
        if manifest.kind == "ensemble":
            members = [column.name for column in manifest.inputs]
            assert {name: manifests[name].version for name in members} == manifest.architecture


@pytest.fixture(scope="module")
def recording() -> Recording:
    folder = Path(os.environ.get("VIGIL_DATA_DIR", "")) / "sepsis2019b"
    if not folder.is_dir():
        pytest.skip("no real recordings: VIGIL_DATA_DIR does not hold sepsis2019b")
    found = read_folder(folder)
    return found.of_patients(share(found.patients) < 0.003)


@each(IN_A_FRAMEWORK)
def test_a_shipped_bundle_answers_in_its_framework_as_in_onnx_runtime_on_real_rows(
    folder: Path, recording: Recording
) -> None:
    bundle = load_bundle(folder)
    manifest = bundle.manifest
    if importlib.util.find_spec(PACKAGES[manifest.framework]) is None:
        pytest.skip(f"{manifest.framework} is not installed (extra `train`)")
    by_table = manifest.input == "table"
    rows = feature_table(recording, manifest.feature_set) if by_table else feature_sequence(recording)
    inputs = {"input": Inputs(manifest).array(rows)}
    ours = in_blocks(open_backend(bundle, "onnx").run, inputs)["logits"]
    theirs = in_blocks(open_backend(bundle, "native").run, inputs)["logits"]
    assert len(ours) > 500
    assert float(np.abs(ours - theirs).max()) <= PARITY
