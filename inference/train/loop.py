"""The training loop of the classifiers: epochs, early stopping on validation patients, checkpoints. Knows no framework.

Everything random in an epoch is seeded by (seed, epoch), so a training that was stopped and resumed ends at the same weights as
one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from inference.evaluate.ranking import auroc
from inference.nets import Floats, Learner
from inference.train import checkpoint
from inference.train.recipe import Fit

Say = Callable[[str], None]
_WARM_UP: Final = 0.1  # of all steps: the learning rate rises, then falls along a cosine


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Scaled inputs and targets of some patients."""

    inputs: Floats
    targets: Floats


class Stateful(Protocol):
    """What a checkpoint is made of: weights and optimiser."""

    def state(self) -> dict[str, npt.NDArray[Any]]: ...

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """`history`: what validation patients said after each epoch; of a classifier the mean AUROC over horizons."""

    best_epoch: int
    history: tuple[float, ...]

    @property
    def best(self) -> float:
        return self.history[self.best_epoch]


def fit(
    learner: Learner,
    training: Rows,
    validation: Rows,
    how: Fit,
    *,
    lost: npt.NDArray[np.bool_],
    seed: int,
    fingerprint: str,
    keep: Path | None = None,
    resume: bool = False,
    say: Say = lambda _: None,
    epochs_now: int | None = None,
) -> Fitted:
    """Train `learner` and leave it at its best epoch. `lost`: shape (vitals, columns), which columns go with a vital.
    `epochs_now`: stop after so many epochs of this call, to be resumed."""
    return until_best(
        learner,
        lambda epoch: _epoch(learner, training, how, lost, seed, epoch),
        lambda: ranking(learner.logits(validation.inputs), validation.targets),
        how,
        measure="AUROC",
        fingerprint=fingerprint,
        keep=keep,
        resume=resume,
        say=say,
        epochs_now=epochs_now,
    )


def until_best(
    learner: Stateful,
    epoch_of: Callable[[int], float],
    judge: Callable[[], float],
    how: Fit,
    *,
    measure: str,
    fingerprint: str,
    keep: Path | None,
    resume: bool,
    say: Say,
    epochs_now: int | None = None,
) -> Fitted:
    """Epoch after epoch until validation patients gain nothing, a checkpoint after each; leaves `learner` at the best one.

    `epoch_of` trains an epoch and gives its loss; `judge` gives the `measure` on validation patients, greater is better."""
    best_state: Mapping[str, npt.NDArray[Any]] = {}
    history: list[float] = []
    best, first = 0, 0
    if resume and keep is not None:
        found = checkpoint.load(keep, fingerprint)
        learner.load_state(found.now)
        history, best, first, best_state = list(found.history), found.best_epoch, found.epoch, found.best
        say(f"goes on after epoch {first} of {how.epochs}")
    last = how.epochs if epochs_now is None else min(how.epochs, first + epochs_now)
    for epoch in range(first, last):
        if history and epoch - best > how.patience:
            say(f"no gain for {how.patience} epochs: ends at epoch {epoch}")
            break
        loss = epoch_of(epoch)
        history.append(judge())
        if history[-1] >= max(history):
            best, best_state = epoch, learner.state()
        say(f"epoch {epoch + 1}/{how.epochs}: loss {loss:.4f}, validation {measure} {history[-1]:.4f}")
        if keep is not None:
            checkpoint.save(
                keep,
                checkpoint.Checkpoint(
                    fingerprint=fingerprint, epoch=epoch + 1, best_epoch=best, history=tuple(history),
                    now=learner.state(), best=best_state,
                ),
            )  # fmt: skip
    learner.load_state(best_state)
    return Fitted(best_epoch=best, history=tuple(history))


def repeat(
    learner: Learner,
    rows: Rows,
    how: Fit,
    *,
    lost: npt.NDArray[np.bool_],
    seed: int,
    epochs: int,
    say: Say = lambda _: None,
) -> None:
    """Train a fresh `learner` for as many epochs as a fit with validation patients found best, now that these teach too."""
    for epoch in range(epochs):
        loss = _epoch(learner, rows, how, lost, seed, epoch)
        say(f"epoch {epoch + 1}/{epochs} on all of them: loss {loss:.4f}")


def _epoch(
    learner: Learner, rows: Rows, how: Fit, lost: npt.NDArray[np.bool_], seed: int, epoch: int
) -> float:
    """The mean loss. The learning rate is that of this epoch among all of `how`, wherever training ends."""
    learner.begin(epoch)
    draw = np.random.default_rng([seed, epoch])
    order = _drawn(rows.targets, how, seed, epoch)
    draw.shuffle(order)
    per_epoch = max(1, len(order) // how.batch)
    losses = []
    for k in range(per_epoch):
        some = np.sort(order[k * how.batch : (k + 1) * how.batch])
        if len(some) < 2:
            break
        inputs = _with_lost(rows.inputs[some], lost, how.lost_vital, draw)
        rate = how.learning_rate * _rate((epoch * per_epoch + k + 1) / (how.epochs * per_epoch))
        losses.append(learner.step(inputs, rows.targets[some], rate))
    return float(np.mean(losses))


def ranking(logits: Floats, targets: Floats) -> float:
    """Mean AUROC over the horizons that have both outcomes; 0.5 when none has."""
    found = []
    for k in range(targets.shape[1]):
        known = ~np.isnan(targets[:, k])
        wanted = targets[known, k]
        if 0 < wanted.sum() < len(wanted):
            found.append(auroc(logits[known, k].astype(np.float64), wanted.astype(np.uint8)))
    return float(np.mean(found)) if found else 0.5


def _drawn(targets: Floats, how: Fit, seed: int, epoch: int) -> npt.NDArray[np.intp]:
    """Rows of an epoch: all with an event within some horizon, and a share of the others."""
    event = np.nanmax(targets, axis=1) > 0.5
    positives, negatives = np.flatnonzero(event), np.flatnonzero(~event)
    count = max(1, round(len(negatives) * how.negatives)) if len(negatives) else 0
    chosen = np.random.default_rng([seed, epoch, 1]).choice(negatives, count, replace=False) if count else negatives
    return np.concatenate([positives, chosen])


def _with_lost(inputs: Floats, lost: npt.NDArray[np.bool_], chance: float, draw: np.random.Generator) -> Floats:
    """`inputs`, a copy, with some vitals left out of some rows."""
    if chance <= 0:
        return inputs
    gone = draw.random((len(inputs), len(lost))) < chance
    columns = (gone.astype(np.float32) @ lost.astype(np.float32)) > 0
    if inputs.ndim == 3:
        columns = columns[:, None, :]
    return np.where(columns, np.float32(np.nan), inputs)


def _rate(done: float) -> float:
    return min(done / _WARM_UP, 1.0) * 0.5 * (1 + float(np.cos(np.pi * done)))
