"""Convolutional classifier in TensorFlow/Keras on the hour sequence: causal convolutions with dilations 1, 2, 4, …, read at the
newest hour, of which only what that hour sees is computed (see `torch_conv`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from inference.nets import Architecture, Floats, Plan, number, whole
from inference.nets.keras_classifier import KerasLearner, Shapes, native_classifier


class Presence(keras.layers.Layer):
    """[rows, steps, columns] -> values with NaN where not measured, and what was measured and how long ago, without NaN.

    A vital that is left out as a whole comes as NaN: not measured (0), as long ago as can be (1)."""

    def __init__(self, values: int, **options: Any) -> None:
        super().__init__(**options)
        self._values = values

    def call(self, sequence: Any) -> Any:
        presence = sequence[:, :, self._values :]
        absent = np.repeat(np.array([0, 1], dtype=np.float32), self._values)
        presence = ops.where(ops.isnan(presence), absent, presence)
        values = sequence[:, :, : self._values]
        measured = presence[:, :, : self._values] > 0.5
        return ops.where(measured, values, np.float32(np.nan)), presence


def build(architecture: Architecture) -> keras.Model:
    """[rows, steps, columns] -> [rows, horizons]."""
    columns, steps, curves = (whole(architecture, key) for key in ("columns", "steps", "curves"))
    hidden, blocks = whole(architecture, "hidden"), whole(architecture, "blocks")
    dropout, count = number(architecture, "dropout"), columns // 3
    layers = keras.layers
    sequence = layers.Input((steps, columns), name="input")
    values, presence = Presence(count)(sequence)
    rows = ops.reshape(values, (-1, count))
    curved = ops.reshape(
        Shapes(count, whole(architecture, "bins"), curves, name="shapes")(rows), (-1, steps, count * curves)
    )
    state = layers.Dense(hidden)(layers.Concatenate()([curved, presence]))
    day = layers.Activation("silu")(state)
    for _ in range(blocks):
        past = layers.ZeroPadding1D((1, 0))(layers.Activation("silu")(state))
        inner = layers.Conv1D(hidden, 3, strides=2)(past)
        state = layers.Add()([state[:, 1::2], layers.Dropout(dropout)(inner)])
    recent = layers.Flatten()(layers.Activation("silu")(state))
    whole_day = [layers.GlobalAveragePooling1D()(day), layers.GlobalMaxPooling1D()(day)]
    read = layers.Dropout(dropout)(layers.Concatenate()([recent, *whole_day]))
    head = layers.Dense(whole(architecture, "head"), activation="silu")(read)
    return keras.Model(sequence, layers.Dense(whole(architecture, "horizons"))(head))


def learner(plan: Plan) -> KerasLearner:
    """A net with fresh weights."""
    return KerasLearner(build, plan, (whole(plan.architecture, "steps"), whole(plan.architecture, "columns")))


def native(architecture: Architecture, weights: bytes) -> Callable[[Floats], Floats]:
    """A trained net in TensorFlow."""
    return native_classifier(build(architecture), weights)
