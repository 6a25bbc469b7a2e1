"""How well a score ranks: AUROC and average precision, with weights, so that patients can be drawn again for intervals.

Own code, and tested against scikit-learn: a bootstrap over patients needs the same order a thousand times, sorted once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint8]
NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """Rows by falling score. `last`: the last row of each run of equal scores."""

    order: npt.NDArray[np.intp]
    label: Doubles
    last: npt.NDArray[np.intp]

    def areas(self, weight: Doubles | None = None) -> tuple[float, float]:
        """AUROC and average precision with a weight of each original row; NaN where a class has no weight."""
        w = np.ones(len(self.order)) if weight is None else weight[self.order]
        hits = np.cumsum(w * self.label)[self.last]
        rows = np.cumsum(w)[self.last]
        positives, negatives = hits[-1], rows[-1] - hits[-1]
        if not (positives > 0 and negatives > 0):
            return NAN, NAN
        false = rows - hits
        hit_steps, false_steps = np.diff(hits, prepend=0.0), np.diff(false, prepend=0.0)
        # Of equal scores half rank right.
        roc = float(np.sum(false_steps * (hits - hit_steps / 2)) / (positives * negatives))
        precision = np.divide(hits, rows, out=np.zeros_like(hits), where=rows > 0)
        return roc, float(np.sum(hit_steps * precision) / positives)


def ranked(score: Doubles, label: Labels) -> Ranked:
    """Sort once. A row without a score (NaN) ranks below all others: nothing can be alarmed by it."""
    filled = np.where(np.isnan(score), -np.inf, score)
    order = np.argsort(-filled, kind="stable")
    ordered = filled[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(score) else np.empty(0, dtype=np.intp)
    return Ranked(order=order, label=label[order].astype(np.float64), last=last)


def auroc(score: Doubles, label: Labels) -> float:
    """Area under the ROC curve; NaN with one class only."""
    return ranked(score, label).areas()[0] if len(score) else NAN


def auprc(score: Doubles, label: Labels) -> float:
    """Average precision, which a random score brings to the prevalence; NaN with one class only."""
    return ranked(score, label).areas()[1] if len(score) else NAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """95 % intervals over patients drawn with replacement."""

    auroc: tuple[float, float]
    auprc: tuple[float, float]


def bootstrap(
    score: Doubles, label: Labels, patient: npt.NDArray[np.int32], patients: int, *, draws: int, seed: int
) -> Intervals:
    """Draw whole patients, with all their rows, `draws` times. The same seed gives the same draws for every score, so two
    scores of the same rows can be compared draw by draw."""
    rows = ranked(score, label)
    found = np.full((draws, 2), np.nan)
    for i, count in enumerate(drawn(patients, draws, seed)):
        found[i] = rows.areas(count[patient])
    return Intervals(auroc=interval(found[:, 0]), auprc=interval(found[:, 1]))


def drawn(patients: int, draws: int, seed: int) -> npt.NDArray[np.float64]:
    """How often each patient is drawn, shape (draws, patients)."""
    rng = np.random.default_rng(seed)
    found = np.empty((draws, patients))
    for i in range(draws):
        found[i] = np.bincount(rng.integers(0, patients, patients), minlength=patients)
    return found


def interval(values: Doubles) -> tuple[float, float]:
    """The middle 95 % of the values that are known."""
    known = values[~np.isnan(values)]
    if not len(known):
        return NAN, NAN
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
