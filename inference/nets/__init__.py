"""The nets: each one file, in PyTorch or in TensorFlow/Keras, behind one contract that knows neither framework.

Only the modules in here import a framework, and only training and the native back ends load them; the stream scores the
exported graphs with ONNX Runtime. `load` imports the module of a net by its name.

A classifier takes `[rows, columns]` (table) or `[rows, steps, columns]` (sequence), float32, scaled, NaN where nothing was
measured, and gives one logit for each horizon. The net itself knows what is missing, so no caller fills anything in.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput, VigilError

Floats = npt.NDArray[np.float32]
Architecture = Mapping[str, int | float | str | bool | list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """One net: where it lives and what it takes. `weights`: the name of its native weights in a bundle."""

    module: str
    framework: Literal["pytorch", "tensorflow"]
    input: Literal["table", "sequence", "step"]
    weights: str


NETS: Final[Mapping[str, Net]] = {
    "torch_dense": Net(
        module="inference.nets.torch_dense", framework="pytorch", input="table", weights="weights.safetensors"
    ),
    "torch_conv": Net(
        module="inference.nets.torch_conv", framework="pytorch", input="sequence", weights="weights.safetensors"
    ),
    "keras_dense": Net(
        module="inference.nets.keras_dense", framework="tensorflow", input="table", weights="model.weights.h5"
    ),
    "keras_conv": Net(
        module="inference.nets.keras_conv", framework="tensorflow", input="sequence", weights="model.weights.h5"
    ),
    "torch_gru": Net(
        module="inference.nets.torch_gru", framework="pytorch", input="step", weights="weights.safetensors"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Weighted, focal binary cross-entropy (Lin et al. 2017). `positive_weight` multiplies positives; `focal` 0 is plain
    cross-entropy. Either distorts the probability, which calibration on other patients puts right."""

    positive_weight: float = 5.0
    focal: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a learner is made from. `architecture` holds every number that shapes the net, and is kept in the bundle.
    `edges`: quantiles of each scaled column on training patients, shape (columns, bins + 1), rising."""

    architecture: Architecture
    edges: Floats
    loss: Loss = field(default_factory=Loss)
    weight_decay: float = 1e-3
    seed: int = 0


class Learner(Protocol):
    """A classifier that can be trained. All arrays are numpy; the framework's own never leave its file."""

    def begin(self, epoch: int) -> None:
        """Seed what is random in the coming epoch, so that a resumed training goes on as if it had not stopped."""
        ...

    def step(self, inputs: Floats, targets: Floats, learning_rate: float) -> float:
        """One step of AdamW on one batch; `targets` 0 or 1, NaN where unknown, shape (rows, horizons). The loss before it."""
        ...

    def logits(self, inputs: Floats) -> Floats:
        """Shape (rows, horizons)."""
        ...

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Weights and optimiser, for a checkpoint."""
        ...

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None: ...

    def onnx(self) -> bytes:
        """The graph `input` -> `logits` with its weights inside and a free number of rows."""
        ...

    def weights(self) -> bytes:
        """The framework's own weights (safetensors, or Keras' HDF5), without code."""
        ...


def load(net: str) -> Any:
    """The module of a net: `learner(plan)` to train it, `native(architecture, weights)` to run it in its own framework.

    Raises `InvalidInput` for an unknown net, and an error that names the extra when its framework is not installed.
    """
    if net not in NETS:
        raise InvalidInput("net", "must be one of " + ", ".join(NETS))
    try:
        return importlib.import_module(NETS[net].module)
    except ModuleNotFoundError as error:
        raise VigilError(
            f"The net {net} cannot be loaded: there is no module {error.name}.",
            cause="PyTorch and TensorFlow come with the extra `train`",
            fix="uv sync --extra train, or pip install 'vigil-rpm[train]'",
        ) from error


def native(net: str, architecture: Architecture, weights: bytes) -> Callable[..., Any]:
    """A function that runs a trained net in its own framework.

    A classifier's: `f(inputs) -> logits`. A forecaster's: `f(inputs, state) -> (mean, scale, next_state)`. All float32.
    """
    made: Callable[..., Any] = load(net).native(architecture, weights)
    return made


def whole(architecture: Architecture, key: str) -> int:
    """A whole number of an architecture. Raises `InvalidInput` when it is not there."""
    value = architecture.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"architecture.{key}", "must be a whole number")
    return value


def number(architecture: Architecture, key: str) -> float:
    """A number of an architecture. Raises `InvalidInput` when it is not there."""
    value = architecture.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"architecture.{key}", "must be a number")
    return float(value)


def wholes(architecture: Architecture, key: str) -> list[int]:
    """A list of whole numbers of an architecture. Raises `InvalidInput` when it is not there."""
    value = architecture.get(key)
    if not isinstance(value, list) or not value:
        raise InvalidInput(f"architecture.{key}", "must be a list of whole numbers")
    return list(value)
