"""A bundle in its own framework answers as ONNX Runtime does. Skipped, visibly, where a framework is not installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.errors import InvalidInput, VigilError
from inference.bundles import NATIVE, Bundle, load_bundle, write_bundle
from inference.features import CHANNELS, FEATURES, HOURS
from inference.nets import NETS, Plan, load
from inference.serving.backend import BLOCK, in_blocks
from inference.serving.folders import Folders
from inference.serving.native import NativeBackend
from inference.serving.onnx_runtime import OnnxBackend
from inference.serving.opening import open_backend
from tests.inference.bundle_builder import files, manifest
from tests.inference.serving.graphs import classifier, forecaster

# What the frameworks warn each other of is not ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

PARITY = 1e-5
PACKAGES = {"pytorch": "torch", "tensorflow": "tensorflow", "lightgbm": "lightgbm"}
SHIPPED = Folders(Path("nowhere")).shipped()


def needs(framework: str) -> None:
    if framework != "onnx" and importlib.util.find_spec(PACKAGES[framework]) is None:
        pytest.skip(f"{framework} is not installed (extra `train`)")


def rows(bundle: Bundle, count: int, seed: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    found = bundle.manifest
    shape = (found.steps, found.width) if found.input == "sequence" else (found.width,)
    values = rng.normal(size=(count, *shape)).astype(np.float32)
    if found.missing == "nan" and found.input == "table":
        values[rng.random(values.shape) < 0.3] = np.nan
    inputs = {"input": values}
    if found.forecast is not None:
        inputs["state"] = rng.normal(size=(count, found.forecast.state)).astype(np.float32)
    return inputs


def assert_alike(bundle: Bundle) -> None:
    onnx, native = open_backend(bundle, "onnx"), open_backend(bundle, "native")
    inputs = rows(bundle, BLOCK + 100)
    first, second = in_blocks(onnx.run, inputs), in_blocks(native.run, inputs)
    assert set(first) == set(second)
    for name in first:
        assert np.abs(first[name] - second[name]).max() <= PARITY * max(1.0, float(np.abs(first[name]).max())), name


@pytest.mark.parametrize("net", [name for name in NETS if NETS[name].input != "step"])
def test_every_net_answers_alike_in_its_framework_and_in_onnx_runtime(net: str, tmp_path: Path) -> None:
    framework = NETS[net].framework
    needs(framework)
    from inference.train.recipe import read_recipe

    sequence = NETS[net].input == "sequence"
    columns = CHANNELS if sequence else FEATURES[:40]
    architecture = {"net": net, "columns": len(columns), "horizons": 2, **read_recipe(net).architecture}
    if sequence:
        architecture["steps"] = HOURS
    values = len(columns) // 3 if sequence else len(columns)
    edges = np.tile(np.linspace(-2, 2, int(architecture["bins"]) + 1, dtype=np.float32), (values, 1))
    learner = load(net).learner(Plan(architecture=architecture, edges=edges))
    made = manifest(
        framework=framework,
        input=NETS[net].input,
        steps=HOURS if sequence else 1,
        inputs=[{"name": name, "metrics": ["spo2"]} for name in columns],
        architecture=architecture,
    )
    write_bundle(tmp_path / "net", made, files(learner.onnx(), **{NETS[net].weights: learner.weights()}))
    assert_alike(load_bundle(tmp_path / "net"))


@pytest.mark.parametrize(("name", "version"), SHIPPED, ids=[" ".join(found) for found in SHIPPED])
def test_every_bundle_that_ships_answers_alike(name: str, version: str) -> None:
    bundle = Folders(Path("nowhere")).load(name, version)
    needs(bundle.manifest.framework)
    assert_alike(bundle)


def test_a_bundle_without_native_weights_runs_in_onnx_runtime_only(tmp_path: Path) -> None:
    for bundle in (classifier(tmp_path / "c"), forecaster(tmp_path / "f")):
        assert OnnxBackend(bundle).name.startswith("onnxruntime")
        with pytest.raises(InvalidInput, match=r"weights\.safetensors: is not in the bundle"):
            NativeBackend(bundle)


@pytest.mark.parametrize("framework", sorted(NATIVE))
def test_a_framework_that_is_not_installed_is_named_with_the_way_to_get_it(
    framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, PACKAGES[framework], None)
    kind = "trees" if framework == "lightgbm" else "classifier"
    write_bundle(tmp_path / "b", manifest(framework=framework, kind=kind), files(**{NATIVE[framework]: b"x"}))
    with pytest.raises(VigilError, match=f"native back end {framework} is not installed"):
        NativeBackend(load_bundle(tmp_path / "b"))


@pytest.mark.parametrize("framework", sorted(NATIVE))
def test_native_weights_that_are_none_are_refused(framework: str, tmp_path: Path) -> None:
    needs(framework)
    kind = "trees" if framework == "lightgbm" else "classifier"
    net = {"pytorch": "torch_dense", "tensorflow": "keras_dense"}.get(framework, "")
    made = manifest(framework=framework, kind=kind, architecture={"net": net} if net else {})
    write_bundle(tmp_path / "b", made, files(**{NATIVE[framework]: b"no weights at all"}))
    with pytest.raises(InvalidInput):
        NativeBackend(load_bundle(tmp_path / "b"))
