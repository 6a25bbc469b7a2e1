"""Runs an exported graph with ONNX Runtime, one thread, as serving does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import onnxruntime

Floats = npt.NDArray[np.float32]


def opened(graph: bytes) -> Callable[[Mapping[str, Floats]], dict[str, Floats]]:
    """A function from inputs to every output of `graph`, by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run
