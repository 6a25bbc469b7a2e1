"""What the TensorFlow/Keras classifiers share: the layer that reads values which may be missing, training, export."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt
import onnx
import tensorflow as tf
import tf2onnx
from keras import ops

from contracts.errors import InvalidInput
from inference.nets import Architecture, Floats, Plan

# TensorFlow on a CPU: see `torch_classifier.THREADS`. It takes the numbers before its first work only.
with contextlib.suppress(RuntimeError):
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

_ROWS_AT_ONCE: Final = 16_384
_OPSET: Final = 18
_FAR: Final = np.float32(1e6)  # spreads


class Shapes(keras.layers.Layer):
    """Each column through its own small curves: piecewise linear between the column's quantiles (Gorishniy et al. 2022),
    `curves` of them, and as many learnt numbers that stand for "not measured". [rows, columns] -> [rows, columns * curves]."""

    def __init__(self, columns: int, bins: int, curves: int, **options: Any) -> None:
        super().__init__(**options)
        self._columns, self._bins, self._curves = columns, bins, curves

    def build(self, _: Any) -> None:
        columns, bins, curves = self._columns, self._bins, self._curves
        small = keras.initializers.RandomNormal(stddev=0.3)
        self.left = self.add_weight(name="left", shape=(columns, 1, bins), trainable=False, initializer="zeros")
        self.per_width = self.add_weight(
            name="per_width", shape=(columns, 1, bins), trainable=False, initializer="ones"
        )
        self.rise = self.add_weight(name="rise", shape=(columns, bins, curves), initializer=small)
        self.start = self.add_weight(name="start", shape=(columns, 1, curves), initializer="zeros")
        self.absent = self.add_weight(name="absent", shape=(columns, 1, curves), initializer="zeros")

    def fit(self, edges: Floats) -> None:
        """Take the quantiles, shape (columns, bins + 1)."""
        self.left.assign(edges[:, None, :-1])
        self.per_width.assign(1 / np.maximum(np.diff(edges, axis=1), np.float32(1e-3))[:, None])

    def call(self, inputs: Any) -> Any:
        """Of values, or of few columns and very many rows: values and what was not measured, both [rows, columns]."""
        return self._few(*inputs) if isinstance(inputs, list) else self._many(inputs)

    def _many(self, values: Any) -> Any:
        across = ops.expand_dims(ops.transpose(values), -1)
        missing = ops.isnan(across)
        known = ops.where(missing, ops.zeros_like(across), across)
        along = ops.clip((known - self.left) * self.per_width, 0.0, 1.0)
        curves = ops.where(missing, self.absent, ops.matmul(along, self.rise) + self.start)
        return ops.reshape(ops.transpose(curves, (1, 0, 2)), (-1, self._columns * self._curves))

    def _few(self, values: Any, missing: Any) -> Any:
        """Two matrix products and no transposition."""
        columns, bins, curves = self._columns, self._bins, self._curves
        gone = ops.cast(missing, "float32")
        # Chosen by what is NaN, not by what is missing: any other choice is exported as a product with 0, in which NaN stays.
        known = ops.where(ops.isnan(values), np.float32(0), values)
        # Each value beside each left edge; what is missing far to the left of all.
        each = np.repeat(np.eye(columns, dtype=np.float32), bins, axis=1)
        off = ops.matmul(ops.concatenate([known, gone], -1), np.concatenate([each, -_FAR * each]))
        along = ops.clip((off - ops.reshape(self.left, (-1,))) * ops.reshape(self.per_width, (-1,)), 0.0, 1.0)
        # Which column a curve belongs to; another column's value has no part in it.
        own = np.repeat(np.eye(columns, dtype=np.float32), curves, axis=1)
        rise = ops.tile(ops.reshape(self.rise, (columns * bins, curves)), (1, columns)) * np.repeat(own, bins, axis=0)
        of_missing = ops.tile(ops.reshape(self.absent - self.start, (columns, curves)), (1, columns)) * own
        found = ops.matmul(ops.concatenate([along, gone], -1), ops.concatenate([rise, of_missing], 0))
        return found + ops.reshape(self.start, (-1,))


class KerasLearner:
    """See `inference.nets.Learner`. TensorFlow places the work on a GPU by itself where it finds one."""

    def __init__(self, build: Callable[[Architecture], keras.Model], plan: Plan, example: tuple[int, ...]) -> None:
        """`example`: the shape of one row of input."""
        keras.utils.set_random_seed(plan.seed)
        self._model = build(plan.architecture)
        self._model.get_layer("shapes").fit(plan.edges)
        self._plan = plan
        self._example = example
        self._optimiser = keras.optimizers.AdamW(
            learning_rate=1e-3, beta_1=0.9, beta_2=0.99, weight_decay=plan.weight_decay, global_clipnorm=1.0
        )
        self._optimiser.build(self._model.trainable_variables)
        spec = tf.TensorSpec([None, *example], tf.float32)
        wanted = tf.TensorSpec([None, *self._model.output_shape[1:]], tf.float32)
        self._step = tf.function(self._one_step, input_signature=[spec, wanted])
        self._run = tf.function(lambda inputs: self._model(inputs, training=False), input_signature=[spec])

    def begin(self, epoch: int) -> None:
        keras.utils.set_random_seed(self._plan.seed * 10_007 + epoch)
        for layer in self._model.layers:
            if isinstance(layer, keras.layers.Dropout):
                generator = layer.seed_generator
                generator.state.assign(ops.cast([self._plan.seed, epoch], generator.state.dtype))

    def step(self, inputs: Floats, targets: Floats, learning_rate: float) -> float:
        self._optimiser.learning_rate.assign(learning_rate)
        return float(self._step(tf.constant(inputs), tf.constant(targets)))

    def logits(self, inputs: Floats) -> Floats:
        parts = [
            self._run(tf.constant(inputs[start : start + _ROWS_AT_ONCE])).numpy()
            for start in range(0, len(inputs), _ROWS_AT_ONCE)
        ]
        return np.concatenate(parts).astype(np.float32)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        found = {f"net.{k:04d}": np.array(variable) for k, variable in enumerate(self._model.variables)}
        found.update({f"optimiser.{k:04d}": np.array(variable) for k, variable in enumerate(self._optimiser.variables)})
        return found

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        for prefix, variables in (("net", self._model.variables), ("optimiser", self._optimiser.variables)):
            for k, variable in enumerate(variables):
                kept = state.get(f"{prefix}.{k:04d}")
                if kept is None or tuple(kept.shape) != tuple(variable.shape):
                    raise InvalidInput("checkpoint", "is of a net with another shape")
                variable.assign(kept)

    def onnx(self) -> bytes:
        return exported(self._model, self._example)

    def weights(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.weights.h5"
            self._model.save_weights(path)
            return path.read_bytes()

    def _one_step(self, inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = _loss(self._model(inputs, training=True), targets, self._plan)
        variables = self._model.trainable_variables
        self._optimiser.apply(tape.gradient(loss, variables), variables)
        return loss


def exported(model: keras.Model, example: tuple[int, ...]) -> bytes:
    """The ONNX graph of `model`, weights inside, with a free number of rows."""

    @tf.function(input_signature=[tf.TensorSpec([None, *example], tf.float32, name="input")])
    def logits(inputs: Any) -> Any:
        return {"logits": model(inputs, training=False)}

    graph, _ = tf2onnx.convert.from_function(logits, input_signature=logits.input_signature, opset=_OPSET)
    graph.doc_string = ""
    graph.graph.doc_string = ""
    onnx.checker.check_model(graph)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def native_classifier(model: keras.Model, weights: bytes) -> Callable[[Floats], Floats]:
    """A function from inputs to logits. Raises `InvalidInput` when the weights are of another net."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.weights.h5"
        path.write_bytes(weights)
        try:
            model.load_weights(path)
        except Exception as error:  # Keras and h5py raise various kinds for damaged or foreign weights
            raise InvalidInput("weights", "are not those of the net that the manifest describes") from error
    spec = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)
    ready = tf.function(lambda inputs: model(inputs, training=False), input_signature=[spec])

    def run(inputs: Floats) -> Floats:
        found: Floats = ready(tf.constant(np.ascontiguousarray(inputs, dtype=np.float32))).numpy()
        return found

    return run


def _loss(logits: Any, targets: Any, plan: Plan) -> Any:
    known = tf.logical_not(tf.math.is_nan(targets))
    wanted = tf.where(known, targets, tf.zeros_like(targets))
    each = tf.nn.sigmoid_cross_entropy_with_logits(labels=wanted, logits=logits)
    counted = tf.cast(known, tf.float32)
    weight = tf.where(wanted > 0.5, plan.loss.positive_weight, 1.0) * counted
    if plan.loss.focal:
        weight = weight * (1.0 - tf.exp(-each)) ** plan.loss.focal
    return tf.reduce_sum(each * weight) / tf.maximum(tf.reduce_sum(counted), 1.0)
