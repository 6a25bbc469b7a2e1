"""Alarm policies of a score, and the threshold at which each finds a given share of the events.

They begin with that of `vigil evaluate`, an alarm at a threshold and then six hours of silence for that patient, and add a
stage each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from inference.evaluate.alarms import PLAIN, Doubles, Grid, Stages, raise_alarms

POLICIES: Final[Mapping[str, Stages]] = {
    "6 h silence": PLAIN,
    "12 h silence": Stages(silence_h=12),
    "4 h sustained, 12 h silence": Stages(sustained_h=4, silence_h=12),
}
"""The last one was chosen on validation patients."""
_LEVELS: Final = 1000
_AT_ONCE: Final = 100  # levels worked on together


def found_at(of: Grid, stages: Stages) -> tuple[Doubles, Doubles]:
    """Thresholds, the highest first, and the share of the events that each finds; both empty where no event has a score.

    Only patients with an event are looked at: whether an event is found depends on no other. Of more than a thousand different
    scores that many are tried, evenly spread among them.
    """
    score, event_h = of.score[:, of.events], of.event_h[of.events]
    known = score[~np.isnan(score)]
    levels = np.unique(known)
    if len(levels) > _LEVELS:
        levels = np.unique(np.quantile(levels, np.linspace(0, 1, _LEVELS), method="nearest"))
    levels, events = levels[::-1], len(event_h)
    share = np.empty(len(levels))
    for start in range(0, len(levels), _AT_ONCE):
        some = levels[start : start + _AT_ONCE]
        each = Grid(score=np.tile(score, len(some)), event_h=np.tile(event_h, len(some)), days=of.days)
        found = raise_alarms(each, np.repeat(some, events), stages).true > 0
        share[start : start + _AT_ONCE] = found.reshape(len(some), events).mean(axis=1)
    return levels, share


def highest_finding(levels: Doubles, share: Doubles, asked: float) -> float | None:
    """The highest threshold that finds at least the share `asked` of the events; None where there is none. With a silence after
    each alarm a lower threshold may find fewer, so it is no matter of bisection."""
    enough = np.flatnonzero(share >= asked)
    return float(levels[enough[0]]) if len(enough) else None
