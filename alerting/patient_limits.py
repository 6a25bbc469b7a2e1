"""Limits of units and of single patients: which set of limits holds for whom in one partition. Pure, columnar.

A rule set names units and patients whose limits differ from everybody's. Their sets are rows beside everybody's, one for each
set of limits that is different, so that judging a frame costs one lookup more, and nothing where nobody in the partition has
other limits than the site's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.events import Compiled
from alerting.rules.model import Direction
from alerting.rules.people import OwnLimit
from alerting.thresholds import METRICS, Floats, Thresholds, bounds
from contracts.vitals import INDEX

# How many different sets are known by what they are. Where more differ, one may stand there twice, and nothing else.
_REMEMBERED: Final = 256


class PatientLimits:
    """`now`: the limits in force, for all slots that `follow` has been told of."""

    def __init__(self, compiled: Compiled) -> None:
        self.use(compiled)

    def use(self, compiled: Compiled) -> None:
        """Put a rule set in force. `follow` names the patients anew."""
        self._compiled = compiled
        self._set_of: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._places: dict[tuple[tuple[str, OwnLimit], ...], int] = {(): 0}
        self._known = 0
        self._rules = {rule.id: rule for rule in compiled.rules.limits}
        self.now: Thresholds = compiled.limits

    def follow(self, patients: Sequence[str], capacity: int) -> None:
        """`patients`: the name of every slot so far, only ever added to; `capacity`: room for slots."""
        rules = self._compiled.rules
        if not (rules.patients or rules.units) or len(patients) == self._known:
            return
        set_of = np.zeros(capacity, dtype=np.int32)
        set_of[: self._known] = self._set_of[: self._known]
        lows, highs, sets = [self.now.lows], [self.now.highs], len(self.now.lows) // METRICS
        for slot in range(self._known, len(patients)):
            own = rules.own_limits(patients[slot])
            different = tuple(sorted(own.items()))
            place = self._places.get(different)
            if place is None:
                low, high = self._sets(own)
                lows.append(low)
                highs.append(high)
                place = sets
                sets += 1
                if len(self._places) < _REMEMBERED:
                    self._places[different] = place
            set_of[slot] = place
        self._known, self._set_of = len(patients), set_of
        if sets > 1:
            low, high = np.concatenate(lows), np.concatenate(highs)
            self.now = replace(
                self.now, low=low[:, 1], lows=low, high=high[:, 1], highs=high, set_of=set_of
            )

    def _sets(self, own: Mapping[str, OwnLimit]) -> tuple[Floats, Floats]:
        lows, highs = self._compiled.limits.lows.copy(), self._compiled.limits.highs.copy()
        for name, limit in own.items():
            rule = self._rules[name]
            (lows if rule.direction is Direction.LOW else highs)[INDEX[rule.metric]] = bounds(rule, limit)
        return lows, highs
