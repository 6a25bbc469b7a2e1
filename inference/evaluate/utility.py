"""The utility of the PhysioNet/CinC challenge of 2019: an alarm is worth most six hours before onset, and less too early or late.

After the official definition (Reyna 2020): onset t* is six hours after the first labelled hour. A septic patient's alarm gains
from t* - 12 h up to 1 at t* - 6 h and falls to 0 at t* + 3 h; no alarm costs from t* - 6 h down to -2 at t* + 3 h; a false alarm
costs 0.05 an hour. The sum is scaled so that never alarming is 0 and alarming exactly right is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from inference.datasets.split import share

Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint8]

EARLY_H: Final = -12
OPTIMAL_H: Final = -6
LATE_H: Final = 3
TRUE_ALARM: Final = 1.0
MISSED: Final = -2.0
FALSE_ALARM: Final = -0.05
_CANDIDATES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """Of each row: what an alarm and what silence is worth there; and `ideal`, whether the perfect model would alarm."""

    alarm: Doubles
    silence: Doubles
    ideal: npt.NDArray[np.bool_]

    def utility(self, alarms: npt.NDArray[np.bool_], rows: npt.NDArray[np.bool_] | None = None) -> float:
        """Normalised utility of `alarms`, over the chosen rows. NaN where no row has an event."""
        chosen = slice(None) if rows is None else rows
        gain, silence = self.alarm[chosen] - self.silence[chosen], float(self.silence[chosen].sum())
        got = silence + float(gain[alarms[chosen]].sum())
        best = silence + float(gain[self.ideal[chosen]].sum())
        return (got - silence) / (best - silence) if best != silence else float("nan")


def worth(patient: npt.NDArray[np.int32], hour: npt.NDArray[np.int64], label: Labels, patients: int) -> Worth:
    """`hour` counts from each patient's first row. Shape of all results: (rows,)."""
    first = np.full(patients, np.iinfo(np.int64).max, dtype=np.int64)
    at = np.flatnonzero(label == 1)
    np.minimum.at(first, patient[at], hour[at])
    septic = first[patient] != np.iinfo(np.int64).max
    since = np.where(septic, hour - (first[patient] - OPTIMAL_H), 0).astype(np.float64)  # hours since onset
    reached = septic & (since <= LATE_H)
    rising = TRUE_ALARM / (OPTIMAL_H - EARLY_H) * (since - EARLY_H)
    falling = TRUE_ALARM / (LATE_H - OPTIMAL_H) * (LATE_H - since)
    true = np.where(since <= OPTIMAL_H, np.maximum(rising, FALSE_ALARM), falling)
    missed = np.where(since <= OPTIMAL_H, 0.0, MISSED / (LATE_H - OPTIMAL_H) * (since - OPTIMAL_H))
    return Worth(
        alarm=np.where(septic, np.where(reached, true, 0.0), FALSE_ALARM),
        silence=np.where(reached, missed, 0.0),
        ideal=reached & (since >= EARLY_H),
    )


def crossed(score: Doubles, found: Worth, patient: npt.NDArray[np.int32], names: tuple[str, ...]) -> float:
    """Utility with the threshold of each half of the patients chosen on the other half: no patient helps to choose its own.
    Halves are by a hash of the patient's name."""
    second = (share(names) * 1000 % 2 >= 1)[patient]
    alarms = np.zeros(len(score), dtype=np.bool_)
    for half in (second, ~second):
        threshold = _best(score[half], found.alarm[half] - found.silence[half])
        alarms[~half] = score[~half] >= threshold
    return found.utility(alarms)


def _best(score: Doubles, gain: Doubles) -> float:
    """The threshold with the greatest utility among quantiles of the score; never to alarm is one of the choices."""
    known = score[~np.isnan(score)]
    if not len(known):
        return float("inf")
    # Alarms are rare: most candidates lie in the upper part.
    shares = np.concatenate([np.linspace(0, 0.9, _CANDIDATES // 2), 1 - np.geomspace(0.1, 1e-5, _CANDIDATES // 2)])
    candidates = np.unique(np.quantile(known, shares))
    order = np.argsort(known)
    from_above = np.concatenate([np.cumsum(gain[~np.isnan(score)][order][::-1])[::-1], [0.0]])
    worths = from_above[np.searchsorted(known[order], candidates, side="left")]
    best = int(np.argmax(worths))
    return float(candidates[best]) if worths[best] > 0 else float("inf")
