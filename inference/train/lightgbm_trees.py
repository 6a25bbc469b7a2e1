"""LightGBM on the feature table: the yardstick that a net has to beat, and what ships where none does.

Trees take missing values as they are. Rows of one patient are alike, so patients, not rows, are held back to decide when to
stop. Of the many hours without an event a share is looked at: it costs a seventh of the time and ranks no worse. Logits are
moved back by the logarithm of that share, so that they mean the prevalence of the data.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import lightgbm
import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from inference.evaluate.ranking import auprc, auroc

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_RECIPE: Final = Path(__file__).with_suffix(".toml")
ONCE: Final = _RECIPE.with_stem("lightgbm_once")
"""The recipe where patients are scored once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """See `lightgbm_trees.toml`, which says what each number is."""

    learning_rate: float
    leaves: int
    rows_in_leaf: int
    features_of_a_tree: float
    rows_of_a_tree: float
    l2: float
    bins: int
    rounds: int
    patience: int
    negatives: float
    held_back: float

    def changed(self, numbers: Mapping[str, int | float]) -> Recipe:
        """With some numbers replaced."""
        values: dict[str, Any] = {**asdict(self), **numbers}
        return Recipe(**values)


def read_recipe(path: Path = _RECIPE) -> Recipe:
    """The recipe in a file. Raises `InvalidInput` for an entry that is missing or unknown."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    found.pop("search", None)
    names = {f.name for f in fields(Recipe)}
    if set(found) != names:
        raise InvalidInput(path.name, f"must hold exactly {', '.join(sorted(names))}")
    return Recipe(**found)


def read_search(path: Path) -> Mapping[str, Sequence[int | float]]:
    """The numbers of a recipe that a search may try. Raises `InvalidInput` for a name of none."""
    found: dict[str, list[int | float]] = tomllib.loads(path.read_text(encoding="utf-8")).get("search", {})
    if unknown := sorted(set(found) - {f.name for f in fields(Recipe)}):
        raise InvalidInput(f"{path.name} search.{unknown[0]}", "is no number of the recipe")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """A trained model. `text`: LightGBM's own format, plain text. `offset` is added to its raw scores."""

    text: str
    rounds: int
    offset: float

    def logits(self, table: Floats, *, threads: int = 1) -> Doubles:
        """Shape (rows,)."""
        booster = lightgbm.Booster(model_str=self.text)
        return np.asarray(booster.predict(table, raw_score=True, num_threads=threads), dtype=np.float64) + self.offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """On the patients held back, of trees that had not seen them; the model itself is trained again on all patients, for as
    many rounds. They decided when to stop, so this is a little better than on new patients."""

    rounds: int
    patients: int
    rows: int
    auroc: float
    auprc: float
    prevalence: float


def train(
    table: Floats,
    labels: npt.NDArray[np.uint8],
    groups: npt.NDArray[np.int32],
    seed: int,
    *,
    recipe: Recipe | None = None,
    threads: int = 1,
) -> tuple[Trees, Metrics]:
    """`table`: shape (rows, features), NaN = missing. `labels`: 0 or 1. `groups`: the patient of each row.

    The same table, seed and recipe give the same model. Raises `InvalidInput` when there are too few patients with and
    without an event to hold some back.
    """
    recipe = recipe or read_recipe()
    if not len(table) == len(labels) == len(groups):
        raise InvalidInput("table", "needs a label and a patient for every row")
    rng = np.random.default_rng(seed)
    held = np.isin(groups, _held_back(labels, groups, recipe.held_back, rng))
    seen = ~held & ((labels == 1) | (rng.random(len(labels)) < recipe.negatives))
    for name, part in (("training", seen), ("held back", held)):
        if not 0 < int(labels[part].sum()) < int(part.sum()):
            raise InvalidInput("labels", f"the {name} patients need rows of both kinds; there are too few patients")
    offset = float(np.log(recipe.negatives))
    text, rounds = _stopped(table, labels, seen, held, recipe, seed, threads)
    score = Trees(text=text, rounds=rounds, offset=offset).logits(table[held], threads=threads)
    # The patients held back have said when to stop; now they teach too.
    seen |= held & ((labels == 1) | (rng.random(len(labels)) < recipe.negatives))
    text = _boosted(table, labels, seen, recipe, rounds, seed, threads)
    return Trees(text=text, rounds=rounds, offset=offset), Metrics(
        rounds=rounds,
        patients=len(np.unique(groups[held])),
        rows=int(held.sum()),
        auroc=auroc(score, labels[held]),
        auprc=auprc(score, labels[held]),
        prevalence=float(labels[held].mean()),
    )


def boosted(
    table: Floats,
    labels: npt.NDArray[np.uint8],
    seed: int,
    *,
    recipe: Recipe,
    rounds: int,
    threads: int = 1,
) -> Trees:
    """Trees of all rows, for a number of rounds that another training has found."""
    seen = (labels == 1) | (np.random.default_rng(seed).random(len(labels)) < recipe.negatives)
    text = _boosted(table, labels, seen, recipe, rounds, seed, threads)
    return Trees(text=text, rounds=rounds, offset=float(np.log(recipe.negatives)))


def _held_back(
    labels: npt.NDArray[np.uint8], groups: npt.NDArray[np.int32], share: float, rng: np.random.Generator
) -> npt.NDArray[np.int32]:
    """Patients to hold back, with and without an event in the proportion of the whole."""
    patients = np.unique(groups)
    ill = np.isin(patients, np.unique(groups[labels == 1]))
    chosen = [rng.permutation(part)[: round(share * len(part))] for part in (patients[ill], patients[~ill])]
    return np.concatenate(chosen)


def _parameters(recipe: Recipe, seed: int, threads: int) -> dict[str, object]:
    return {
        "objective": "binary",
        "metric": "auc",
        "learning_rate": recipe.learning_rate,
        "num_leaves": recipe.leaves,
        "min_data_in_leaf": recipe.rows_in_leaf,
        "feature_fraction": recipe.features_of_a_tree,
        "bagging_fraction": recipe.rows_of_a_tree,
        "bagging_freq": 1,
        "lambda_l2": recipe.l2,
        "max_bin": recipe.bins,
        "num_threads": threads,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }


class _Stop:
    """Ends a training when the patients held back have gained nothing for so many rounds. Few of them have an event, so chance
    may look best far too early: the first quarter of the rounds is not looked at."""

    def __init__(self, recipe: Recipe) -> None:
        self._least, self._patience = recipe.rounds // 4, recipe.patience
        self._best = -1.0
        self.rounds = 0

    def __call__(self, now: lightgbm.callback.CallbackEnv) -> None:
        rounds = now.iteration + 1
        value = now.evaluation_result_list[0][2]
        if rounds >= self._least and value > self._best:
            self._best, self.rounds = value, rounds
        if self.rounds and rounds - self.rounds >= self._patience:
            raise lightgbm.callback.EarlyStopException(now.iteration, now.evaluation_result_list)


def _stopped(
    table: Floats,
    labels: npt.NDArray[np.uint8],
    seen: npt.NDArray[np.bool_],
    held: npt.NDArray[np.bool_],
    recipe: Recipe,
    seed: int,
    threads: int,
) -> tuple[str, int]:
    """Trees of the rows `seen`, up to the round after which the patients held back gain nothing."""
    parameters = _parameters(recipe, seed, threads)
    data = lightgbm.Dataset(table[seen], labels[seen], params=parameters)
    # The patients held back are thinned too, for speed; AUROC does not depend on the share of those without an event.
    thinned = held & ((labels == 1) | (np.random.default_rng(seed).random(len(labels)) < recipe.negatives))
    stop = _Stop(recipe)
    booster = lightgbm.train(
        parameters,
        data,
        num_boost_round=recipe.rounds,
        valid_sets=[data.create_valid(table[thinned], labels[thinned])],
        callbacks=[stop],
    )
    return booster.model_to_string(num_iteration=stop.rounds), stop.rounds


def _boosted(
    table: Floats,
    labels: npt.NDArray[np.uint8],
    seen: npt.NDArray[np.bool_],
    recipe: Recipe,
    rounds: int,
    seed: int,
    threads: int,
) -> str:
    parameters = _parameters(recipe, seed, threads)
    data = lightgbm.Dataset(table[seen], labels[seen], params=parameters)
    return str(lightgbm.train(parameters, data, num_boost_round=rounds).model_to_string())
