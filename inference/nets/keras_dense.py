"""Dense classifier in TensorFlow/Keras on the feature table: curves of each feature, then a residual perceptron."""

from __future__ import annotations

from collections.abc import Callable

import keras

from inference.nets import Architecture, Floats, Plan, number, whole
from inference.nets.keras_classifier import KerasLearner, Shapes, native_classifier


def build(architecture: Architecture) -> keras.Model:
    """[rows, columns] -> [rows, horizons]."""
    columns, curves, hidden = (whole(architecture, key) for key in ("columns", "curves", "hidden"))
    dropout = number(architecture, "dropout")
    layers = keras.layers
    table = layers.Input((columns,), name="input")
    curved = Shapes(columns, whole(architecture, "bins"), curves, name="shapes")(table)
    state = layers.Dense(hidden)(layers.Dropout(dropout)(curved))
    for _ in range(whole(architecture, "blocks")):
        inner = layers.Activation("silu")(layers.LayerNormalization(epsilon=1e-5)(state))
        state = layers.Add()([state, layers.Dropout(dropout)(layers.Dense(hidden)(inner))])
    logits = layers.Dense(whole(architecture, "horizons"))(layers.Activation("silu")(state))
    return keras.Model(table, logits)


def learner(plan: Plan) -> KerasLearner:
    """A net with fresh weights."""
    return KerasLearner(build, plan, (whole(plan.architecture, "columns"),))


def native(architecture: Architecture, weights: bytes) -> Callable[[Floats], Floats]:
    """A trained net in TensorFlow."""
    return native_classifier(build(architecture), weights)
