"""Decision curve: what acting on a probability is worth, net of acting in vain (Vickers & Elkin 2006).

Who acts from a probability p on says that one event found is worth (1 - p) / p actions in vain. The net benefit is then the share
of the moments that were true alarms, less the false ones by that weight; 0 is never to act, and `everybody` is to act always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

THRESHOLDS: Final = (0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Benefit:
    """At one threshold, in true alarms a moment."""

    net: float
    everybody: float


def decision_curve(probability: npt.NDArray[np.float64], label: npt.NDArray[np.uint8]) -> Mapping[str, Benefit]:
    """By threshold as text. A moment without a probability is one at which nobody acts."""
    happened = float(label.mean())
    found = {}
    for threshold in THRESHOLDS:
        act = probability >= threshold  # NaN is never
        odds = threshold / (1 - threshold)
        true = float((act & (label == 1)).mean())
        found[f"{threshold:g}"] = Benefit(
            net=true - odds * (float(act.mean()) - true), everybody=happened - odds * (1 - happened)
        )
    return found
