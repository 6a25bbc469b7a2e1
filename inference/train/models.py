"""The models that `vigil train` makes, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.errors import InvalidInput

# Name of the model to the net it is of, or "lightgbm", or "ensemble".
MODELS: Final[Mapping[str, str]] = {
    "deterioration_torch_dense": "torch_dense",
    "deterioration_torch_conv": "torch_conv",
    "deterioration_keras_dense": "keras_dense",
    "deterioration_keras_conv": "keras_conv",
    "deterioration_lightgbm": "lightgbm",
    "deterioration_ensemble": "ensemble",
    "forecaster_torch_gru": "torch_gru",
}

MEMBERS: Final = (
    "deterioration_torch_dense",
    "deterioration_keras_dense",
    "deterioration_lightgbm",
    "deterioration_torch_conv",
    "deterioration_keras_conv",
)
"""What the ensemble is made of."""


def net_of(model: str) -> str:
    """The net of a model. Raises `InvalidInput` for a name of none."""
    if model not in MODELS:
        raise InvalidInput("name", "must be one of " + ", ".join(MODELS))
    return MODELS[model]
