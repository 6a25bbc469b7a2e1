"""A bundle is whole or it is refused, and the refusal names what is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.errors import InvalidInput, UnsupportedVersion
from inference.bundles import MANIFEST, MANIFEST_DIGEST, ONNX, load_bundle, parse_manifest, write_bundle
from inference.manifest import Forecast, Input
from tests.inference.bundle_builder import files, manifest

NAMES = (MANIFEST, MANIFEST_DIGEST, ONNX, "card.md", "weights.safetensors")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "toy" / "1"
    write_bundle(folder, manifest(), files(**{"weights.safetensors": bytes(range(64))}))
    return folder


def copy(whole: Path, tmp: Path) -> Path:
    return Path(shutil.copytree(whole, tmp / "bundle"))


def test_what_was_written_is_what_is_loaded(whole: Path) -> None:
    bundle = load_bundle(whole)
    assert bundle.manifest.model_copy(update={"files": {}}) == manifest()
    assert bundle.files["weights.safetensors"] == bytes(range(64))
    assert set(bundle.files) == set(bundle.manifest.files) == {ONNX, "card.md", "weights.safetensors"}
    assert bundle.label == "toy 1"
    assert load_bundle(whole, digest=bundle.digest) == bundle


def test_plain_tools_can_check_a_bundle(whole: Path) -> None:
    subprocess.run(["sha256sum", "--check", MANIFEST_DIGEST], cwd=whole, check=True, capture_output=True)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_of_any_file_is_found_and_the_file_is_named(
    data: st.DataObject, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = copy(whole, tmp_path_factory.mktemp("flipped"))
    name = data.draw(st.sampled_from(NAMES))
    content = bytearray((folder / name).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    (folder / name).write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        load_bundle(folder)
    # Of manifest and digest nobody can say which one was damaged.
    assert refused.value.field == (MANIFEST if name == MANIFEST_DIGEST else name)
    assert refused.value.reason


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(name: str, whole: Path, tmp_path: Path) -> None:
    folder = copy(whole, tmp_path)
    (folder / name).unlink()
    with pytest.raises(InvalidInput, match=f"{name}: is missing"):
        load_bundle(folder)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_cut_short_is_refused(name: str, whole: Path, tmp_path: Path) -> None:
    folder = copy(whole, tmp_path)
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    with pytest.raises(InvalidInput):
        load_bundle(folder)


def test_a_link_to_a_file_elsewhere_is_refused(whole: Path, tmp_path: Path) -> None:
    folder = copy(whole, tmp_path)
    (folder / ONNX).unlink()
    (folder / ONNX).symlink_to(whole / ONNX)
    with pytest.raises(InvalidInput, match=ONNX):
        load_bundle(folder)


def test_a_file_that_the_manifest_does_not_name_is_refused(whole: Path, tmp_path: Path) -> None:
    folder = copy(whole, tmp_path)
    (folder / "extra.bin").write_bytes(b"x")
    with pytest.raises(InvalidInput, match=r"extra\.bin: is in the folder, but not in the manifest"):
        load_bundle(folder)


def test_a_bundle_swapped_under_its_name_is_refused_by_its_digest(whole: Path, tmp_path: Path) -> None:
    registered = load_bundle(whole).digest
    write_bundle(tmp_path / "other", manifest(summary="another one"), files())
    load_bundle(tmp_path / "other")  # whole in itself
    with pytest.raises(InvalidInput, match="not the one that was registered"):
        load_bundle(tmp_path / "other", digest=registered)


@pytest.mark.parametrize("name", ["model.pkl", "weights.pt", "net.PICKLE", "net.keras"])
def test_formats_that_run_code_are_never_written_or_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="can run code"):
        write_bundle(tmp_path / "toy", manifest(), files(**{name: b"x"}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../model.onnx", "a/b", "", ".hidden", MANIFEST])
def test_file_names_are_plain(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="plain file names"):
        write_bundle(tmp_path / "toy", manifest(), {**files(), name: b"x"})
    assert list(tmp_path.iterdir()) == []


def test_a_version_is_never_overwritten(whole: Path) -> None:
    with pytest.raises(InvalidInput, match="never changes"):
        write_bundle(whole, manifest(), files())


def test_a_bundle_without_a_graph_or_a_card_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    for missing in (ONNX, "card.md"):
        with pytest.raises(InvalidInput, match=missing):
            write_bundle(tmp_path / "toy", manifest(), {k: v for k, v in files().items() if k != missing})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("entry", "value", "reason"),
    [
        ("version", "1; rm", "pattern"),
        ("name", "Toy", "pattern"),
        ("kind", "oracle", "classifier"),
        ("inputs", [], "at least 1"),
        ("inputs", [{"name": "a", "spread": 0.0, "metrics": ["spo2"]}], "greater than 0"),
        ("inputs", [{"name": "a", "metrics": ["blood"]}], "catalogue"),
        ("inputs", [{"name": "age"}], "of which metrics"),
        ("inputs", [{"name": "a", "metrics": ["spo2"]}] * 2, "twice"),
        ("horizons_h", [1.0], "calibration"),
        ("score_horizon_h", 12.0, "one of horizons_h"),
        ("thresholds", {"often": 0.5}, "patient-day"),
        ("input", "step", "forecaster"),
        ("framework", "lightgbm", "trees"),
        ("steps", 24, "sequence"),
        ("pickle", "model.pkl", "Extra inputs"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(entry: str, value: Any, reason: str) -> None:
    document = {**manifest(files={ONNX: "0" * 64, "card.md": "0" * 64}).model_dump(mode="json"), entry: value}
    with pytest.raises(InvalidInput, match=reason) as refused:
        parse_manifest(json.dumps(document).encode())
    assert refused.value.field.startswith(MANIFEST)


def test_a_newer_format_asks_for_an_upgrade_and_another_format_is_refused() -> None:
    with pytest.raises(UnsupportedVersion, match="upgrade"):
        parse_manifest(b'{"format": "vigil-bundle/2", "whatever": 1}')
    for text in (b"{}", b"[]", b"null", b'{"format": "zip"}', b"\xff", b"[" * 100_000):
        with pytest.raises(InvalidInput):
            parse_manifest(text)


def test_a_forecaster_says_what_it_forecasts() -> None:
    forecast = Forecast(metrics=("heart_rate", "spo2"), steps_ahead=(1, 15), state=32)
    inputs = tuple(Input(name=metric, metrics=(metric,)) for metric in forecast.metrics)
    alone = {"kind": "forecaster", "input": "step", "horizons_h": (), "calibration": (), "score_horizon_h": None}
    assert manifest(**alone, forecast=forecast, inputs=inputs).forecast == forecast
    with pytest.raises(ValidationError, match="must be inputs too"):
        manifest(**alone, forecast=forecast)
    with pytest.raises(ValidationError, match="forecast must be given"):
        manifest(kind="forecaster", input="step")


def test_the_vitals_of_a_model_are_those_of_its_inputs_in_catalogue_order() -> None:
    made = manifest(
        inputs=(
            Input(name="shock_index", metrics=("systolic_bp", "heart_rate")),
            Input(name="age"),
            Input(name="spo2.level", metrics=("spo2",)),
        )
    )
    assert made.vitals == ("heart_rate", "spo2", "systolic_bp")
    assert made.width == 3
    assert made.model_copy(update={"missing": "mask"}).width == 6
