"""Clocks of devices that run ahead: stamps well after their receive time, which are clamped to it and marked questionable.

A clock that runs behind needs no rule of its own: its data is old, and the device counts as silent. Decided at ticks from what
came between them, so the outcome is the same however rows were grouped: a device is ahead in an interval when any of its rows
was, and right when none was. Pure, columnar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.conditions import Bools, Kind
from alerting.rules.equipment import ClockRule
from alerting.thresholds import code_of

# A patient and device, by the number of the silence watch. `ahead_tick`, `right_tick`: the tick before the newest rows that were,
# and were not, ahead. `since`, `right_since`: the tick before the first of a run of such intervals, 0: none runs. `onset`,
# `priority`: of the active alarm.
CLOCK: Final = np.dtype(
    [
        ("ahead_tick", "<i8"), ("right_tick", "<i8"), ("since", "<i8"), ("right_since", "<i8"), ("onset", "<i8"),
        ("priority", "u1"),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockDecision:
    """One change of one alarm. `withdrawn`: it ended because there is no rule any more."""

    kind: Kind
    pair: int
    onset_ms: int
    condition_ms: int
    at_ms: int
    priority: int
    withdrawn: bool


class ClockWatch:
    """The clocks of one partition's devices. Before the first tick nothing is known of when rows came."""

    def __init__(self) -> None:
        self._clocks = np.zeros(0, dtype=CLOCK)
        self._rule: ClockRule | None = None
        self._tick_ms = 0
        self._any = False  # whether a clock was ever ahead: usually none is, and rows cost nothing then

    @property
    def active(self) -> int:
        """How many alarms are active."""
        return int(np.count_nonzero(self._clocks["priority"]))

    def use(self, rule: ClockRule | None) -> None:
        """Put `rule` in force; what it ends is decided at the next tick."""
        self._rule = rule

    def hear(self, pair: npt.NDArray[np.int32], ahead: Bools) -> None:
        """Take note of rows. A pair of -1 is not watched."""
        if not self._tick_ms or not (self._any or ahead.any()):
            return
        self._any = True
        known = pair >= 0
        pair, ahead = pair[known], ahead[known]
        if not len(pair):
            return
        missing = int(pair.max()) + 1 - len(self._clocks)
        if missing > 0:
            self._clocks = np.append(self._clocks, np.zeros(missing, dtype=CLOCK))
        self._clocks["ahead_tick"][pair[ahead]] = self._tick_ms
        self._clocks["right_tick"][pair[~ahead]] = self._tick_ms

    def tick(self, tick_ms: int) -> list[ClockDecision]:
        """Move the clock to `tick_ms`, later than all before."""
        before, self._tick_ms = self._tick_ms, tick_ms
        if not self._any or not before:
            return []
        clocks, rule = self._clocks, self._rule
        ahead = clocks["ahead_tick"] == before
        right = (clocks["right_tick"] == before) & ~ahead
        active = clocks["priority"] > 0
        clocks["since"] = np.where(
            ahead & (clocks["since"] == 0), before, np.where(right & ~active, 0, clocks["since"])
        )
        clocks["right_since"] = np.where(
            ahead, 0, np.where(right & (clocks["right_since"] == 0), before, clocks["right_since"])
        )
        if rule is None:
            due, over = np.zeros(len(clocks), dtype=np.bool_), active
        else:
            onset_ms, clear_ms = round(rule.onset_s * 1000), round(rule.clear_after_s * 1000)
            due = ~active & ahead & (tick_ms - clocks["since"] >= onset_ms)
            over = active & right & (tick_ms - clocks["right_since"] >= clear_ms)
        found: list[ClockDecision] = []
        for i in np.flatnonzero(due | over).tolist():
            if due[i] and rule is not None:
                clocks["onset"][i], clocks["priority"][i] = clocks["since"][i], code_of(rule.priority)
                found.append(self._decision(Kind.RAISED, i, tick_ms))
            else:
                found.append(self._decision(Kind.CLEARED, i, tick_ms))
                for name in ("since", "right_since", "onset", "priority"):
                    clocks[name][i] = 0
        return found

    def export(self, order: npt.NDArray[np.intp]) -> npt.NDArray[np.void]:
        """The state of the pairs in `order`; nothing where no clock was ever ahead."""
        if not self._any:
            return np.zeros(0, dtype=CLOCK)
        missing = (int(order.max()) + 1 if len(order) else 0) - len(self._clocks)
        return np.asarray(np.append(self._clocks, np.zeros(max(missing, 0), dtype=CLOCK))[order])

    def load(self, clocks: npt.NDArray[np.void], tick_ms: int) -> None:
        """Replace the state; `use` follows."""
        self._clocks, self._tick_ms, self._any = clocks.copy(), tick_ms, len(clocks) > 0

    def _decision(self, kind: Kind, i: int, tick_ms: int) -> ClockDecision:
        clock, rule = self._clocks[i], self._rule
        onset_ms = int(clock["onset"])
        return ClockDecision(
            kind=kind, pair=i, onset_ms=onset_ms, at_ms=tick_ms, priority=int(clock["priority"]), withdrawn=rule is None,
            condition_ms=onset_ms + (round(rule.onset_s * 1000) if rule is not None else 0),
        )  # fmt: skip
