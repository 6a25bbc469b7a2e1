"""Values that do not change: a device that repeats exactly the same value is not measuring any more. Pure, columnar.

How long is too long is a matter of the metric (`contracts.vitals`, `stuck_s`); some, such as temperature, may stand still by
nature and are not watched. What counts is the time between the newest sample and the last one that was different, in event
time. A pause of more than `LONGEST_PAUSE_MS` begins anew: a cuff that reads 120 twice in an hour is not stuck.

The state of a cell is a maximum over the samples seen, so it does not depend on how they were grouped; whether a cell is stuck
is decided at ticks alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.conditions import Bools, Ints, Kind
from alerting.rules.equipment import UnchangingRule
from alerting.rules.model import CONTINUOUS_GAP_S
from alerting.thresholds import METRICS, code_of
from contracts.vitals import CATALOGUE

# The metrics that are watched, by catalogue index; a cell is pair * WIDTH + place in here.
WATCHED: Final = tuple(i for i, vital in enumerate(CATALOGUE) if vital.stuck_s is not None)
WIDTH: Final = len(WATCHED)
LONGEST_PAUSE_MS: Final = round(CONTINUOUS_GAP_S * 1000)
_NEVER: Final = np.iinfo(np.int64).max
_LONG_AGO: Final = -_NEVER

# A patient, device and metric. `value`, `newest`: of the newest sample, 0: none yet. `since`: the newest sample that was
# different, or the first one. `heard`: the time listened when a sample last came. `onset`, `priority`: of the active alarm.
CELL: Final = np.dtype(
    [("value", "<f4"), ("newest", "<i8"), ("since", "<i8"), ("heard", "<i8"), ("onset", "<i8"), ("priority", "u1")]
)
_COLUMN: Final = np.full(METRICS, -1, dtype=np.int32)
_COLUMN[list(WATCHED)] = np.arange(WIDTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnchangingDecision:
    """One change of one alarm. `pair`: the patient and device, as the silence watch numbers them; `metric`: catalogue index.
    `held_ms`: how long the value may stay the same."""

    kind: Kind
    pair: int
    metric: int
    onset_ms: int
    at_ms: int
    priority: int
    value: float
    held_ms: int
    withdrawn: bool


class UnchangingWatch:
    """Every watched metric of every patient and device of one partition."""

    def __init__(self) -> None:
        self._limit_ms = np.full(WIDTH, _NEVER, dtype=np.int64)
        self._rule: UnchangingRule | None = None
        self._set(np.zeros(0, dtype=CELL))

    def _set(self, cells: npt.NDArray[np.void]) -> None:
        """One column of each field: rows of 37 bytes cost more to look into."""
        self._value, self._newest = cells["value"].copy(), cells["newest"].copy()
        self._since, self._heard = cells["since"].copy(), cells["heard"].copy()
        self._onset, self._priority = cells["onset"].copy(), cells["priority"].copy()
        self._heard[self._newest == 0] = _LONG_AGO
        self._any_active = bool(self._priority.any())

    @property
    def active(self) -> int:
        """How many alarms are active."""
        return int(np.count_nonzero(self._priority))

    def use(self, rule: UnchangingRule | None) -> None:
        """Put `rule` in force; what it ends is decided at the next tick."""
        self._rule = rule
        after_s = rule.after_s if rule is not None else {}
        self._limit_ms = np.array(
            [round(after_s[CATALOGUE[m].name] * 1000) if CATALOGUE[m].name in after_s else _NEVER for m in WATCHED],
            dtype=np.int64,
        )

    def hear(
        self,
        pair: npt.NDArray[np.int32],
        metric: npt.NDArray[np.int16],
        value: npt.NDArray[np.float32],
        time_ms: Ints,
        usable: Bools,
        listened_ms: int,
        *,
        distinct: bool,
    ) -> None:
        """Take note of rows. `usable`: in time, and of a quality that counts as a value. A pair of -1 is not watched.
        `distinct`: no two rows are of one cell."""
        column = _COLUMN[metric]
        wanted = usable & (column >= 0) & (pair >= 0)
        if not wanted.all():
            rows = np.flatnonzero(wanted)
            if not len(rows):
                return
            pair, column, value, time_ms = pair[rows], column[rows], value[rows], time_ms[rows]
        pairs = int(pair.max()) + 1
        if pairs * WIDTH > len(self._value):
            self._set(np.append(self._table(), np.zeros(max(pairs, 64) * 2 * WIDTH - len(self._value), dtype=CELL)))
        cell = pair.astype(np.int64) * WIDTH + column
        before, at = self._value[cell], self._newest[cell]
        begins = self._heard[cell] < listened_ms - LONGEST_PAUSE_MS
        if distinct and (begins | (time_ms > at)).all():  # the usual frame: each cell once, and newer
            other = np.flatnonzero(begins | (value != before))
            self._since[cell[other]] = np.where(begins[other], time_ms[other], at[other])
            self._value[cell], self._newest[cell] = value, time_ms
        else:
            self._merge(cell, value, time_ms, begins)
        self._heard[cell] = listened_ms

    def _merge(self, cell: Ints, value: npt.NDArray[np.float32], time_ms: Ints, begins: Bools) -> None:
        """Several samples of a cell, or some out of order. A cell that begins does so with its first row in the log."""
        if begins.any():
            fresh, first = np.unique(cell[begins], return_index=True)
            first = np.flatnonzero(begins)[first]
            self._value[fresh], self._newest[fresh], self._since[fresh] = value[first], time_ms[first], time_ms[first]
        old_value, old_newest = self._value[cell], self._newest[cell]
        np.maximum.at(self._newest, cell, time_ms)
        last = time_ms == self._newest[cell]
        moved = last & (time_ms > old_newest)
        # Of several values at the newest moment the largest stands; it has been different at that same moment.
        self._value[cell[moved]] = -np.inf
        np.maximum.at(self._value, cell[last], value[last])
        now = self._value[cell]
        other = np.where(value != now, time_ms, 0)
        other = np.maximum(other, np.where(old_value != now, old_newest, 0))
        np.maximum.at(self._since, cell, other)

    def questionable(self, pair: npt.NDArray[np.int32], metric: npt.NDArray[np.int16]) -> Bools | None:
        """Which rows belong to a value that does not change, as of the last tick; None: none does."""
        if not self._any_active:
            return None
        column = _COLUMN[metric]
        known = (column >= 0) & (pair >= 0)
        cell = np.where(known, pair.astype(np.int64) * WIDTH + column, 0)
        return np.asarray(known & (self._priority[np.minimum(cell, len(self._priority) - 1)] > 0))

    def tick(self, tick_ms: int) -> list[UnchangingDecision]:
        """What has not changed for too long, and what changes again."""
        if not len(self._value):
            return []
        run = (self._newest - self._since).reshape(-1, WIDTH)
        stuck = (run >= self._limit_ms).reshape(-1)
        found: list[UnchangingDecision] = []
        for i in np.flatnonzero(stuck != (self._priority > 0)).tolist():
            if stuck[i] and self._rule is not None:
                self._priority[i], self._onset[i] = code_of(self._rule.priority), self._since[i]
                found.append(self._decision(Kind.RAISED, i, tick_ms))
            else:
                found.append(self._decision(Kind.CLEARED, i, tick_ms))
                self._priority[i], self._onset[i] = 0, 0
        if found:
            self._any_active = bool(self._priority.any())
        return found

    def _table(self) -> npt.NDArray[np.void]:
        cells = np.zeros(len(self._value), dtype=CELL)
        cells["value"], cells["newest"], cells["since"] = self._value, self._newest, self._since
        cells["heard"] = np.where(self._newest > 0, self._heard, 0)
        cells["onset"], cells["priority"] = self._onset, self._priority
        return cells

    def export(self, order: npt.NDArray[np.intp]) -> npt.NDArray[np.void]:
        """The state of the pairs in `order`, WIDTH cells each."""
        missing = (int(order.max()) + 1 if len(order) else 0) * WIDTH - len(self._value)
        cells = np.append(self._table(), np.zeros(max(missing, 0), dtype=CELL))
        return np.asarray(cells[(order[:, None] * WIDTH + np.arange(WIDTH)).reshape(-1)])

    def load(self, cells: npt.NDArray[np.void]) -> None:
        """Replace the state; `use` sets the limits."""
        self._set(cells)

    def _decision(self, kind: Kind, i: int, tick_ms: int) -> UnchangingDecision:
        limit_ms = int(self._limit_ms[i % WIDTH])
        return UnchangingDecision(
            kind=kind,
            pair=i // WIDTH,
            metric=WATCHED[i % WIDTH],
            onset_ms=int(self._onset[i]),
            at_ms=tick_ms,
            priority=int(self._priority[i]),
            value=float(self._value[i]),
            held_ms=0 if limit_ms == _NEVER else limit_ms,
            withdrawn=limit_ms == _NEVER,
        )
