"""The training loop, with a learner small enough to see through: logistic regression in numpy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from inference.nets import Floats

pytest.importorskip("safetensors", reason="extra `train` is not installed")

from inference.train import loop
from inference.train.recipe import Fit

HOW = Fit(learning_rate=0.5, batch=64, epochs=6, patience=3, negatives=0.5, lost_vital=0.2)
LOST = np.array([[True, False, False], [False, True, True]])


class Logistic:
    """Missing values count as 0. What is random in an epoch is a little noise on the inputs, as a dropout would be."""

    def __init__(self) -> None:
        self.weight = np.zeros((3, 1))
        self.seen: list[Floats] = []
        self._noise = np.random.default_rng(0)

    def begin(self, epoch: int) -> None:
        self._noise = np.random.default_rng(epoch)

    def step(self, inputs: Floats, targets: Floats, learning_rate: float) -> float:
        self.seen.append(inputs)
        values = np.nan_to_num(inputs) + self._noise.normal(0, 0.01, inputs.shape)
        off = 1 / (1 + np.exp(-values @ self.weight)) - targets
        self.weight = self.weight - learning_rate * values.T @ off / len(values)
        return float((off**2).mean())

    def logits(self, inputs: Floats) -> Floats:
        return (np.nan_to_num(inputs) @ self.weight).astype(np.float32)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {"net.weight": self.weight.copy()}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        self.weight = state["net.weight"].copy()

    def onnx(self) -> bytes:
        return b""

    def weights(self) -> bytes:
        return b""


def rows(seed: int, count: int = 2000) -> loop.Rows:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 3)).astype(np.float32)
    targets = (inputs[:, :1] + rng.normal(size=(count, 1)) > 1.5).astype(np.float32)
    return loop.Rows(inputs=inputs, targets=targets)


def train(learner: Logistic, **options: Any) -> loop.Fitted:
    how = options.pop("how", HOW)
    return loop.fit(learner, rows(1), rows(2), how, lost=LOST, seed=5, fingerprint="f", **options)


def test_it_learns_and_the_same_seed_gives_the_same_weights() -> None:
    first, second = Logistic(), Logistic()
    found = train(first)
    train(second)
    np.testing.assert_array_equal(first.weight, second.weight)
    assert found.best > 0.8
    assert first.weight[0, 0] > 3 * abs(first.weight[1, 0])


def test_a_training_that_was_stopped_ends_at_the_same_weights(tmp_path: Path) -> None:
    whole, stopped, resumed = Logistic(), Logistic(), Logistic()
    train(whole)
    keep = tmp_path / "c.safetensors"
    train(stopped, keep=keep, epochs_now=2)
    found = train(resumed, keep=keep, resume=True)
    np.testing.assert_array_equal(resumed.weight, whole.weight)
    assert len(found.history) == HOW.epochs


def test_repeating_the_epochs_of_a_fit_on_its_rows_gives_its_weights() -> None:
    fitted, repeated = Logistic(), Logistic()
    found = train(fitted)
    loop.repeat(repeated, rows(1), HOW, lost=LOST, seed=5, epochs=found.best_epoch + 1)
    np.testing.assert_array_equal(repeated.weight, fitted.weight)
    assert not np.array_equal(repeated.weight, Logistic().weight)


def test_it_stops_without_gain_and_keeps_the_best_epoch() -> None:
    class Worse(Logistic):
        def step(self, inputs: Floats, targets: Floats, learning_rate: float) -> float:
            loss = super().step(inputs, targets, learning_rate)
            if len(self.seen) > 40:
                self.weight = -np.abs(self.weight)
            return loss

    learner = Worse()
    found = train(learner, how=HOW.model_copy(update={"epochs": 40, "patience": 2}))
    assert len(found.history) < 40
    assert found.best == max(found.history)
    assert learner.weight[0, 0] > 0


def test_a_lost_vital_takes_all_its_columns_and_the_data_stay_whole() -> None:
    learner = Logistic()
    train(learner)
    seen = np.concatenate(learner.seen)
    missing = np.isnan(seen)
    np.testing.assert_array_equal(missing[:, 1], missing[:, 2])  # the same vital
    assert missing[:, 0].mean() == pytest.approx(0.2, abs=0.03)
    assert missing[:, 1].mean() == pytest.approx(0.2, abs=0.03)
    assert not np.isnan(rows(1).inputs).any()


def test_ranking_leaves_out_horizons_that_say_nothing() -> None:
    logits = np.array([[0.1, 0], [0.9, 1], [0.5, 2]], dtype=np.float32)
    targets = np.array([[0, 0], [1, 0], [np.nan, 0]], dtype=np.float32)
    assert loop.ranking(logits, targets) == 1.0
    assert loop.ranking(logits[:, 1:], targets[:, 1:]) == 0.5
