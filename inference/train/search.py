"""Search of hyper-parameters with Optuna, judged on validation patients alone. Locked patients are never looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from contracts.errors import InvalidInput

Say = Callable[[str], None]
Numbers = Mapping[str, int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best of some trials: its numbers and its AUROC on validation patients, beside the recipe's own."""

    numbers: Numbers
    auroc: float
    before: float


def search(
    space: Mapping[str, Sequence[int | float]],
    have: Numbers,
    judge: Callable[[Numbers], float],
    *,
    trials: int,
    seed: int,
    say: Say,
) -> Found:
    """Try `trials` sets of numbers from `space`; those that the recipe `have`s are the first. `judge`: their AUROC on validation
    patients. Raises `InvalidInput` for an empty space."""
    if not space:
        raise InvalidInput("search", "the recipe names no numbers to search")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({name: have[name] for name, values in space.items() if have[name] in values})

    def tried(trial: Any) -> float:
        numbers = {name: trial.suggest_categorical(name, list(values)) for name, values in space.items()}
        found = judge(numbers)
        text = ", ".join(f"{name} {value}" for name, value in numbers.items())
        say(f"trial {trial.number + 1}/{trials}: validation AUROC {found:.4f} with {text}")
        return found

    study.optimize(tried, n_trials=trials)
    return Found(
        numbers=dict(study.best_params), auroc=float(study.best_value), before=float(study.trials[0].value or 0.5)
    )
