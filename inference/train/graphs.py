"""Runs an exported graph with ONNX Runtime, one thread, as serving does, and holds it to what it was exported from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from contracts.errors import InvalidInput

Floats = npt.NDArray[np.float32]
PARITY: Final = 1e-5  # of a logit


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


def hold(off: float, original: str, compared: str, say: Callable[[str], None]) -> None:
    """Refuse a graph whose answers differ from those of its `original` by more than `PARITY`. Raises `InvalidInput`."""
    say(f"largest difference between ONNX Runtime and {original} {compared}: {off:.1e}")
    if not off <= PARITY:
        raise InvalidInput("model.onnx", f"answers otherwise than {original}: off by {off:.1e}, allowed is {PARITY:.0e}")
