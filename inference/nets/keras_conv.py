"""Convolutional classifier in TensorFlow/Keras on the hour sequence: causal convolutions with dilations 1, 2, 4, …, read at the
newest hour, of which only what that hour sees is computed, by matrix products of rows and steps together (see `torch_conv`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from inference.nets import Architecture, Floats, Plan, number, whole
from inference.nets.keras_classifier import KerasLearner, Shapes, native_classifier


class Presence(keras.layers.Layer):
    """[rows, columns] -> values, what of them was not measured, and what was measured and how long ago, without NaN.

    A vital that is left out as a whole comes as NaN: not measured (0), as long ago as can be (1)."""

    def __init__(self, values: int, **options: Any) -> None:
        super().__init__(**options)
        self._values = values

    def call(self, rows: Any) -> Any:
        presence = rows[:, self._values :]
        absent = np.repeat(np.array([0, 1], dtype=np.float32), self._values)
        presence = ops.where(ops.isnan(presence), absent, presence)
        values = rows[:, : self._values]
        missing = ops.logical_or(ops.isnan(values), presence[:, : self._values] <= 0.5)
        return values, missing, presence


class Conv1D(keras.layers.Conv1D):
    """[rows, steps, hidden] -> [rows, steps / 2, hidden]: a convolution of the step itself and the two before it, of every second
    step, the newest among them. Called as its base is, since Keras names stored weights after classes."""

    def __init__(self, hidden: int, steps: int, **options: Any) -> None:
        super().__init__(hidden, 3, strides=2, **options)
        self._steps = steps

    def call(self, state: Any) -> Any:
        width = self.filters
        pairs = ops.reshape(state, (-1, self._steps // 2, 2 * width))
        before = ops.pad(pairs[:, :-1, width:], ((0, 0), (1, 0), (0, 0)))
        kernel = ops.reshape(self.kernel, (3 * width, width))  # of the oldest of three steps first
        return ops.matmul(ops.concatenate([before, pairs], -1), kernel) + self.bias

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[0], self._steps // 2, self.filters


def build(architecture: Architecture) -> keras.Model:
    """[rows, steps, columns] -> [rows, horizons]."""
    columns, steps, curves = (whole(architecture, key) for key in ("columns", "steps", "curves"))
    hidden, blocks = whole(architecture, "hidden"), whole(architecture, "blocks")
    dropout, count = number(architecture, "dropout"), columns // 3
    layers = keras.layers
    sequence = layers.Input((steps, columns), name="input")
    values, missing, presence = Presence(count)(ops.reshape(sequence, (-1, columns)))  # an hour of a patient each
    curved = Shapes(count, whole(architecture, "bins"), curves, name="shapes")([values, missing])
    state = ops.reshape(layers.Dense(hidden)(layers.Concatenate()([curved, presence])), (-1, steps, hidden))
    day = layers.Activation("silu")(state)
    for block in range(blocks):
        inner = Conv1D(hidden, steps >> block)(layers.Activation("silu")(state))
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
