"""The batteries of one partition's devices: a level at or below the rule's limit that stays there.

A battery is judged like a spot measurement, by the machine of all conditions (`cells.py`), one cell a patient and device: in
event time, a level stands until it expires, so onset and end may be decided by a tick. What comes late says nothing. Pure,
columnar.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.cells import Cells
from alerting.conditions import Decision, Ints, Level, Samples, Terms
from alerting.rows import Rows
from alerting.rules.equipment import BatteryRule
from alerting.rules.model import gap_s
from alerting.sequence import passes, sequence
from alerting.thresholds import code_of, no_terms
from contracts.readings import Quality
from contracts.vitals import BATTERY

_GAP_MS: Final = round(gap_s("battery") * 1000)


class BatteryWatch:
    """Every patient and device that has sent a battery level, by the number of the silence watch."""

    def __init__(self) -> None:
        self._cells = Cells(width=1, per_key=1)
        self._newest: Ints = np.zeros(0, dtype=np.int64)  # the newest event time judged of each pair, 0: none
        self._rule: BatteryRule | None = None
        self._terms = no_terms(1)

    @property
    def active(self) -> int:
        """How many alarms are active."""
        return self._cells.active

    @property
    def rule(self) -> BatteryRule | None:
        """The rule in force."""
        return self._rule

    def use(self, rule: BatteryRule | None) -> None:
        """Put `rule` in force; what it ends is decided at the next tick."""
        self._rule, self._terms = rule, _terms(rule)

    def judge(self, rows: Rows, pair: npt.NDArray[np.int32], oldest_ms: int) -> list[Decision]:
        """What the battery levels among `rows` decide; a decision's cell is the pair, its row one of `rows`. A pair of -1 is not
        watched."""
        wanted = np.flatnonzero((rows.metric == BATTERY) & (pair >= 0) & (rows.quality < Quality.BAD))
        if self._rule is None or not len(wanted):
            return []
        key = pair[wanted].astype(np.int64)
        self._grow(int(key.max()) + 1)
        order = sequence(
            key=key, record=rows.record[wanted], time_ms=rows.time_ms[wanted], boot=rows.boot[wanted], seq=rows.seq[wanted],
            newest=self._newest, oldest_ms=oldest_ms,
        )  # fmt: skip
        self._newest[order.keys] = order.newest
        row, cell = wanted[order.rows], key[order.rows]
        value = rows.value[row]
        level = _levels(value, self._rule)
        decisions: list[Decision] = []
        for some in passes(order.group):
            some = some[(level[some] >= Level.BREACH) | self._cells.is_open(cell[some])]
            if len(some):
                decisions += self._cells.advance(
                    Samples(
                        cell=cell[some], time_ms=rows.time_ms[row[some]], level=level[some], value=value[some],
                        device=rows.device[row[some]], row=row[some].astype(np.int64),
                    ),
                    self._terms,
                )  # fmt: skip
        return decisions

    def tick(self, tick_ms: int) -> list[Decision]:
        """What the clock decides: a rule that is gone, and levels that stand."""
        return self._cells.withdraw(self._terms, tick_ms) + self._cells.settle(tick_ms, self._terms)

    def export(self, order: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.void], Ints]:
        """The open cells and the newest times of the pairs in `order`, which are all there are, numbered by their place in it."""
        self._grow(len(order))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        cells = self._cells.export()
        cells["cell"] = place[cells["cell"]]
        return cells[np.argsort(cells["cell"])], self._newest[order]

    def load(self, cells: npt.NDArray[np.void], newest: Ints) -> None:
        """Replace the state of a new watch; `use` follows."""
        self._grow(len(newest))
        self._newest[: len(newest)] = newest
        self._cells.load(cells)

    def _grow(self, pairs: int) -> None:
        missing = pairs - len(self._newest)
        if missing > 0:
            self._newest = np.append(self._newest, np.zeros(max(missing, len(self._newest), 64), dtype=np.int64))
            self._cells.grow(len(self._newest))


def _levels(value: npt.NDArray[np.float32], rule: BatteryRule) -> npt.NDArray[np.int8]:
    level = np.where(value <= rule.limit, Level.BREACH, Level.BETWEEN)
    level = np.where(value <= rule.critical, Level.CRITICAL, level)
    return np.where(value >= rule.limit + rule.clear_margin, Level.INSIDE, level).astype(np.int8)


def _terms(rule: BatteryRule | None) -> Terms:
    terms = no_terms(1)
    terms.gap_ms[:], terms.spot[:] = _GAP_MS, True
    if rule is not None:
        terms.onset_ms[:] = terms.critical_onset_ms[:] = round(rule.onset_s * 1000)
        terms.clear_ms[:] = round(rule.clear_after_s * 1000)
        terms.priority[:], terms.critical_priority[:] = code_of(rule.priority), code_of(rule.critical_priority)
    return terms
