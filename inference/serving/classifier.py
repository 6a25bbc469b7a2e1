"""Classifiers and trees at work: features in, calibrated probabilities out, and why. Without state of their own. Pure.

The explanation is by occlusion: how much lower the score is when one vital is set to the patient's usual
(`features/steady.py`). What single vitals explain is scaled so that the parts add up to the score less the base, the score
with every vital at its usual; vitals that hold the score down have no part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from inference.features import METRICS, HourFeatures
from inference.manifest import Manifest
from inference.serving.backend import INPUT, LOGITS, Call, Floats, in_blocks
from inference.serving.inputs import Inputs, places_of

Index = npt.NDArray[np.intp]
Longs = npt.NDArray[np.int64]
_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Parts of the scores of some rows, vital to shape (rows,). `base`: the score with every vital at its usual; parts and
    base add up to the score."""

    contribution: Mapping[str, Floats]
    base: Floats


class Classifier:
    """The arithmetic around one graph. Raises `InvalidInput` for a manifest that this release cannot serve."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._inputs = Inputs(manifest)
        self._vitals = manifest.vitals
        self._places = places_of(self._vitals)
        calibration = manifest.calibration[manifest.score_column]
        self._slope, self._intercept = calibration.slope, calibration.intercept

    def features(self, hours: HourFeatures, slots: Index, t_ms: Longs, usual: tuple[int, ...] = ()) -> Floats:
        """What the model looks at of these patients at these times, before scaling."""
        if self.manifest.input == "sequence":
            return hours.sequence(slots, t_ms, usual)
        return hours.table(slots, t_ms, usual, feature_set=self.manifest.feature_set)

    def score(self, call: Call, features: Floats) -> Floats:
        """The probability at the horizon of the score, shape (rows,); NaN where the graph answered nonsense."""
        if not len(features):
            return np.empty(0, dtype=np.float32)
        answer = in_blocks(call, {INPUT: self._inputs.array(features)})
        logit = answer[LOGITS][:, self.manifest.score_column].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            probability = 1 / (1 + np.exp(-(self._slope * logit + self._intercept)))
        # An infinite logit is no certainty, it is an overflow.
        return np.where(np.isfinite(logit), probability, np.nan).astype(np.float32)

    @property
    def left_out(self) -> tuple[tuple[int, ...], ...]:
        """What an explanation leaves out: each vital of the model, as its index in the feature set, and at last all of them."""
        each = tuple(int(place) for place in self._places)
        return (*((place,) for place in each), each)

    def without(
        self, call: Call, hours: HourFeatures, slots: Index, t_ms: Longs, left_out: Sequence[tuple[int, ...]]
    ) -> Floats:
        """Scores with vitals at their usual, shape (left_out, rows); one batch of all."""
        found = self.score(call, np.concatenate([self.features(hours, slots, t_ms, usual) for usual in left_out]))
        return found.reshape(len(left_out), len(slots))

    def explain(self, call: Call, hours: HourFeatures, slots: Index, t_ms: Longs, score: Floats) -> Explained:
        """Why these rows have their scores."""
        return self.explained(score, self.without(call, hours, slots, t_ms, self.left_out))

    def explained(self, score: Floats, without: Floats) -> Explained:
        """Parts of `score`, shape (rows,), from the scores without what `left_out` names."""
        drop = np.maximum(np.nan_to_num(score[None] - without[:-1], nan=0.0), 0)
        total = np.cumsum(drop, axis=0)[-1]  # one after the other: a blocked sum rounds by who else is explained
        to_explain = np.maximum(np.nan_to_num(score - without[-1], nan=0.0), 0)
        to_explain = np.where(total > _TINY, to_explain, np.float32(0))
        part = drop * (to_explain / np.where(total > _TINY, total, np.float32(1)))
        return Explained(
            contribution={name: part[k].astype(np.float32) for k, name in enumerate(self._vitals)},
            base=(score - to_explain).astype(np.float32),
        )


def fresh(hours: HourFeatures, slots: Index, t_ms: Longs, vitals: Index) -> npt.NDArray[np.int64]:
    """How many of `vitals` (indices in the feature set) have a value that is fresh enough to score by, shape (rows,)."""
    _, age_h = hours.newest(slots, t_ms)
    return np.asarray((age_h[vitals] <= _FRESH_H[vitals][:, None]).sum(axis=0))


# Hours for which a value still says something: what a monitor measures all the time, one hour; what is measured now and then
# (pressures, temperature), eight, as early warning scores take it.
_OFTEN: Final = ("heart_rate", "spo2", "respiratory_rate", "etco2")
_FRESH_H: Final = np.array([1.0 if metric in _OFTEN else 8.0 for metric in METRICS], dtype=np.float32)
