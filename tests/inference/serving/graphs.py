"""Small ONNX graphs and whole bundles of them for the tests of serving."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inference.bundles import Bundle, load_bundle, write_bundle
from inference.manifest import Forecast, Input
from inference.serving.lineup import Loaded, loaded
from inference.serving.onnx_runtime import OnnxBackend
from tests.inference.bundle_builder import files, manifest
from tests.inference.serving.runners import Direct

F32 = TensorProto.FLOAT


def graph(
    nodes: Sequence[Any], inputs: dict[str, Sequence[Any]], outputs: dict[str, Sequence[Any]], **constants: Any
) -> bytes:
    """A graph as bytes. Shapes: numbers, or texts for free dimensions."""
    made = helper.make_graph(
        list(nodes),
        "toy",
        [helper.make_tensor_value_info(name, F32, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, F32, list(shape)) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def linear(weights: Any, bias: Any, *, shape: Sequence[Any] | None = None, rows: Any = "rows") -> bytes:
    """logits = input @ weights + bias, NaN counting as 0."""
    weights, bias = np.asarray(weights, np.float32), np.asarray(bias, np.float32)
    nodes = [
        helper.make_node("IsNaN", ["input"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "input"], ["known"]),
        helper.make_node("MatMul", ["known", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
    ]
    return graph(
        nodes,
        {"input": shape or (rows, len(weights))},
        {"logits": (rows, weights.shape[1])},
        weights=weights,
        bias=bias,
        zero=np.float32(0),
    )


def persistence(metrics: int, ahead: int, state: int) -> bytes:
    """A forecaster that expects each vital to stay as it is, or at 0 where it is missing, with a scale of 0.5. The state
    counts steps."""
    nodes = [
        helper.make_node("Slice", ["input", "first", "metrics", "axis"], ["values"]),
        helper.make_node("Unsqueeze", ["values", "axis"], ["one"]),
        helper.make_node("Expand", ["one", "many"], ["mean"]),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "half"], ["scale"]),
        helper.make_node("Add", ["state", "unit"], ["next_state"]),
    ]
    return graph(
        nodes,
        {"input": ("rows", 2 * metrics), "state": ("rows", state)},
        {"mean": ("rows", ahead, metrics), "scale": ("rows", ahead, metrics), "next_state": ("rows", state)},
        first=np.array([0]),
        metrics=np.array([metrics]),
        axis=np.array([1]),
        many=np.array([1, ahead, 1]),
        zero=np.float32(0),
        half=np.float32(0.5),
        unit=np.float32(1),
    )


def classifier(folder: Path, *, bias: float = -1.0, version: str = "1", **changes: Any) -> Bundle:
    """A bundle that finds fast hearts and low oxygen bad, with a threshold of 0.6."""
    content = linear([[0.0, 1.0], [0.0, -1.0]], [0.0, bias])
    entries = {"calibration": [{}, {}], "thresholds": {"0.25": 0.6}, "version": version, "ready_minutes": 3, **changes}
    write_bundle(folder, manifest(**entries), files(content))
    return load_bundle(folder)


def forecaster(folder: Path, **changes: Any) -> Bundle:
    """A bundle that expects all vitals to stay as they are, one and three steps ahead."""
    scaling = {"heart_rate": (80, 10), "spo2": (96, 2), "respiratory_rate": (16, 4)}
    metrics = tuple(scaling)
    entries: dict[str, Any] = {
        "name": "forecaster",
        "kind": "forecaster",
        "input": "step",
        "missing": "mask",
        "inputs": [Input(name=m, centre=c, spread=s, metrics=(m,)) for m, (c, s) in scaling.items()],
        "forecast": Forecast(metrics=metrics, steps_ahead=(1, 3), state=4, warm_steps=3),
        "horizons_h": (),
        "calibration": (),
        "score_horizon_h": None,
        "thresholds": {"0.25": 5.0},
        **changes,
    }
    write_bundle(folder, manifest(**entries), files(persistence(3, 2, 4)))
    return load_bundle(folder)


def opened(bundle: Bundle) -> Loaded:
    """As the shelf opens it, without the guard's thread."""
    return loaded(bundle, Direct(OnnxBackend(bundle)))
