"""Trees: the same seed gives the same trees, patients do not leak into the decision when to stop, and logits mean the data."""

from __future__ import annotations

import numpy as np
import pytest

from contracts.errors import InvalidInput

pytest.importorskip("lightgbm")

from inference.train.lightgbm_trees import Recipe, read_recipe, train

SMALL = Recipe(
    learning_rate=0.2, leaves=7, rows_in_leaf=10, features_of_a_tree=1.0, rows_of_a_tree=1.0, l2=1.0, bins=31, rounds=40,
    patience=10, negatives=0.5, held_back=0.25,
)  # fmt: skip


def patients(count: int = 200, rows: int = 10) -> tuple[np.typing.NDArray[np.float32], ...]:
    """The first column says who is ill, now and then missing; the others say nothing."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(count, dtype=np.int32), rows)
    ill = rng.random(count) < 0.2
    label = (ill[group] & (rng.random(len(group)) < 0.7)).astype(np.uint8)
    table = rng.normal(size=(len(group), 4)).astype(np.float32)
    table[:, 0] += 2 * label
    table[rng.random(table.shape) < 0.1] = np.nan
    return table, label, group  # type: ignore[return-value]


def test_trees_find_what_is_there_and_say_how_well_on_patients_held_back() -> None:
    table, label, group = patients()
    model, metrics = train(table, label, group, 1, recipe=SMALL)  # type: ignore[arg-type]
    assert metrics.auroc > 0.8
    assert 45 <= metrics.patients <= 55
    assert metrics.rounds <= 40
    assert np.isfinite(model.logits(np.full((3, 4), np.nan, dtype=np.float32))).all()  # missing is an input like others


def test_probabilities_mean_the_prevalence_of_the_data_though_few_negatives_were_seen() -> None:
    table, label, group = patients()
    model, _ = train(table, label, group, 1, recipe=SMALL)  # type: ignore[arg-type]
    said = 1 / (1 + np.exp(-model.logits(table)))
    assert said.mean() == pytest.approx(label.mean(), rel=0.2)


def test_the_same_seed_gives_the_same_trees_and_another_gives_others() -> None:
    table, label, group = patients()
    first, second, other = (train(table, label, group, seed, recipe=SMALL)[0] for seed in (1, 1, 2))  # type: ignore[arg-type]
    assert first.text == second.text
    assert first.text != other.text


def test_too_few_patients_are_refused() -> None:
    table, label, group = patients(4)
    with pytest.raises(InvalidInput, match="too few patients"):
        train(table, np.zeros_like(label), group, 1, recipe=SMALL)  # type: ignore[arg-type]


def test_the_recipe_beside_the_trainer_is_whole() -> None:
    assert read_recipe().rounds > 100
