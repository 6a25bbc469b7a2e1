"""What runs a bundle's graph: arrays in, arrays out. Every back end gives the same answer to 1e-5, and any may be chosen.

A graph is always called with `BLOCK` rows, padded where there are fewer: matrix products of another size may round
differently, and a patient's score must not depend on who else was scored in the same call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from inference.bundles import MANIFEST, ONNX, Bundle
from inference.manifest import Manifest

Floats = npt.NDArray[np.float32]
Call = Callable[[Mapping[str, Floats]], Mapping[str, Floats]]

BLOCK: Final = 256
BACKENDS: Final = ("onnx", "native")

INPUT: Final = "input"
STATE: Final = "state"
LOGITS: Final = "logits"
MEAN: Final = "mean"
SCALE: Final = "scale"
NEXT_STATE: Final = "next_state"


class ModelFailed(Exception):
    """The model gave no answer. The text says why, and holds nothing of a patient."""


class Backend(Protocol):
    """An opened graph. Its answers depend on its arguments alone."""

    @property
    def name(self) -> str:
        """Of the runtime, for people: `onnxruntime 1.32`."""
        ...

    def run(self, inputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
        """Every output of the graph for `BLOCK` rows. May raise whatever its runtime raises."""
        ...

    def stop(self) -> None:
        """Ask a call under way in another thread to end, where the runtime can."""
        ...


class Runner(Protocol):
    """A back end that cannot hurt its caller: it answers, or raises `ModelFailed` in bounded time (`Guard`)."""

    @property
    def name(self) -> str: ...

    def run(self, inputs: Mapping[str, Floats]) -> Mapping[str, Floats]: ...

    def failed(self, reason: str) -> ModelFailed:
        """The answer was of no use; what to raise for it."""
        ...

    def worked(self) -> None:
        """The answer was of use."""
        ...


def input_shapes(manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """What a graph is given, name to shape without the rows."""
    shapes: dict[str, tuple[int, ...]] = {INPUT: (manifest.width,)}
    if manifest.input == "sequence":
        shapes[INPUT] = (manifest.steps, manifest.width)
    if manifest.forecast is not None:
        shapes[STATE] = (manifest.forecast.state,)
    return shapes


def output_shapes(manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """What a graph must answer, name to shape without the rows."""
    if manifest.forecast is None:
        return {LOGITS: (len(manifest.horizons_h),)}
    ahead = (len(manifest.forecast.steps_ahead), len(manifest.forecast.metrics))
    return {MEAN: ahead, SCALE: ahead, NEXT_STATE: (manifest.forecast.state,)}


def in_blocks(call: Call, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
    """`call` for any number of rows, at least one: cut into blocks, the last one padded with zeros."""
    rows = len(next(iter(inputs.values())))
    parts: list[Mapping[str, Floats]] = []
    for start in range(0, rows, BLOCK):
        block = {}
        for name, array in inputs.items():
            padded = np.zeros((BLOCK, *array.shape[1:]), dtype=np.float32)
            some = array[start : start + BLOCK]
            padded[: len(some)] = some
            block[name] = padded
        parts.append(call(block))
    return {name: np.concatenate([part[name] for part in parts])[:rows] for name in parts[0]}


def try_out(bundle: Bundle, backend: Backend) -> None:
    """Run one block. Raises `InvalidInput` when the graph does not answer as the manifest says."""
    manifest = bundle.manifest
    block = {name: np.zeros((BLOCK, *shape), dtype=np.float32) for name, shape in input_shapes(manifest).items()}
    try:
        answer = backend.run(block)
    except Exception as error:  # a runtime raises what it likes; here everything means that the graph cannot be used
        raise InvalidInput(ONNX, f"fails on its first rows ({type(error).__name__})") from error
    for name, shape in output_shapes(manifest).items():
        if name not in answer:
            raise InvalidInput(ONNX, f"does not answer with {name}")
        found = answer[name]
        if found.shape != (BLOCK, *shape):
            raise InvalidInput(ONNX, f"answers {name} in shape {found.shape[1:]}, and {MANIFEST} says {shape}")
        if found.dtype != np.float32 or not np.isfinite(found).all():
            raise InvalidInput(ONNX, f"answers {name} with what are not finite float32 numbers")
