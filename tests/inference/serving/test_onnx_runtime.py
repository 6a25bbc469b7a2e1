"""A graph that is not what its manifest says is refused before it scores anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from contracts.errors import InvalidInput
from inference.bundles import Bundle, load_bundle, write_bundle
from inference.serving.backend import BLOCK, in_blocks
from inference.serving.onnx_runtime import OnnxBackend
from tests.inference.bundle_builder import files, manifest
from tests.inference.serving.graphs import classifier, forecaster, graph, linear

WEIGHTS = [[0.0, 1.0], [0.0, -1.0]]


def bundle(tmp_path: Path, content: bytes, **changes: Any) -> Bundle:
    write_bundle(tmp_path / "bundle", manifest(**changes), files(content))
    return load_bundle(tmp_path / "bundle")


def test_a_good_graph_answers(tmp_path: Path) -> None:
    backend = OnnxBackend(classifier(tmp_path / "toy"))
    answer = backend.run({"input": np.ones((BLOCK, 2), dtype=np.float32)})
    assert answer["logits"].shape == (BLOCK, 2)
    assert answer["logits"][0].tolist() == [0.0, -1.0]
    assert backend.name.startswith("onnxruntime ")


def test_a_forecaster_carries_its_state(tmp_path: Path) -> None:
    backend = OnnxBackend(forecaster(tmp_path / "toy"))
    state = np.full((BLOCK, 4), 2, dtype=np.float32)
    answer = backend.run({"input": np.zeros((BLOCK, 6), dtype=np.float32), "state": state})
    assert answer["next_state"][0].tolist() == [3.0] * 4
    assert answer["mean"].shape == answer["scale"].shape == (BLOCK, 2, 3)


EXTRA = graph(
    [
        helper.make_node("MatMul", ["input", "weights"], ["product"]),
        helper.make_node("Add", ["product", "age"], ["logits"]),
    ],
    {"input": ("rows", 2), "age": ("rows", 2)},
    {"logits": ("rows", 2)},
    weights=np.array(WEIGHTS, dtype=np.float32),
)
NOT_FINITE = linear(WEIGHTS, [0.0, np.nan])
UNNAMED = graph(
    [helper.make_node("MatMul", ["x", "weights"], ["y"])],
    {"x": ("rows", 2)},
    {"y": ("rows", 2)},
    weights=np.array(WEIGHTS, dtype=np.float32),
)
# Says that any shape will do, and fails when it gets one.
SURPRISE = linear(np.ones((3, 2)), [0.0, 0.0], shape=("rows", "width"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be opened"),
        (b"not a graph", "cannot be opened"),
        (linear(WEIGHTS, [0, 0])[:-20], "cannot be opened"),
        (EXTRA, "needs an input 'age', which nothing provides"),
        (UNNAMED, "needs an input 'x', which nothing provides"),
        (linear(np.ones((3, 2)), [0.0, 0.0]), r"in shape \(3,\), and manifest.json says \(2,\)"),
        (linear(np.ones((2, 3)), [0.0] * 3), r"answers logits in shape \(3,\)"),
        (linear(WEIGHTS, [0.0, 0.0], rows=7), "wants exactly 7 rows"),
        (linear(WEIGHTS, [0.0, 0.0], shape=("rows", 24, 2)), "3 dimensions, not 2"),
        (NOT_FINITE, "not finite float32 numbers"),
        (SURPRISE, "fails on its first rows"),
    ],
)
def test_another_graph_than_the_manifest_describes_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=reason) as refused:
        OnnxBackend(bundle(tmp_path, content))
    assert refused.value.field == "model.onnx"


@pytest.mark.parametrize("rows", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_rows_answer_does_not_depend_on_the_rows_beside_it(rows: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(rows)
    inputs = tuple({"name": f"heart_rate.{k}", "metrics": ["heart_rate"]} for k in range(64))
    content = linear(rng.normal(size=(64, 2)), [0.1, -0.1])
    backend = OnnxBackend(bundle(tmp_path, content, inputs=inputs))
    values = rng.normal(size=(rows, 64)).astype(np.float32)
    together = in_blocks(backend.run, {"input": values})["logits"]
    order = rng.permutation(rows)
    assert in_blocks(backend.run, {"input": values[order]})["logits"].tobytes() == together[order].tobytes()
    alone = np.concatenate([in_blocks(backend.run, {"input": values[k : k + 1]})["logits"] for k in range(0, rows, 17)])
    assert alone.tobytes() == together[::17].tobytes()
