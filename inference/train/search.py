"""Search of hyper-parameters with Optuna, judged on validation patients alone. Locked patients are never looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from contracts.errors import InvalidInput
from inference.train.classifier import Material, fitted
from inference.train.recipe import Recipe

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best of some trials: its numbers and its mean AUROC on validation patients, beside the recipe's own."""

    numbers: Mapping[str, int | float]
    auroc: float
    before: float


def search(net: str, recipe: Recipe, of: Material, *, trials: int, seed: int, say: Say) -> Found:
    """Try `trials` sets of numbers from the recipe's [search]; the recipe as it stands is the first. Raises `InvalidInput` for a
    recipe without a [search]."""
    if not recipe.search:
        raise InvalidInput(f"{net}.toml search", "names no numbers to search")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    have = {**recipe.architecture, **recipe.fit.model_dump()}
    study.enqueue_trial({name: have[name] for name, values in recipe.search.items() if have[name] in values})

    def judge(trial: Any) -> float:
        numbers = {name: trial.suggest_categorical(name, values) for name, values in recipe.search.items()}
        _, _, found = fitted(net, recipe.changed(numbers), of, seed=seed, keep=None, resume=False, say=lambda _: None)
        text = ", ".join(f"{name} {value}" for name, value in numbers.items())
        say(f"trial {trial.number + 1}/{trials}: validation AUROC {found.best:.4f} with {text}")
        return found.best

    study.optimize(judge, n_trials=trials)
    return Found(
        numbers=dict(study.best_params), auroc=float(study.best_value), before=float(study.trials[0].value or 0.5)
    )
