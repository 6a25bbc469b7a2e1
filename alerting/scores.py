"""Scores of models: windows in, decisions out. A function of the scores log, and of when rules came into force. Pure.

The personal baseline says beside its score how far each vital sign is from the patient's own usual; rules may ask for that too.
Only rows with status OK say anything: "not ready" and "insufficient data" are neither normal nor an alarm.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from alerting.cells import Cells
from alerting.conditions import Decision, Ints, Level, Samples, Terms
from alerting.rules.base import Direction
from alerting.rules.model import RuleSet, ScoreRule
from alerting.rules.patterns import RelativeRule
from alerting.sequence import passes, sequence
from alerting.thresholds import score_terms
from contracts.scores import STATUSES, Scores, Status

Judged = ScoreRule | RelativeRule
Floats = npt.NDArray[np.float32]

BASELINE = "personal_baseline"
_OK = STATUSES.index(Status.OK)


class ScoreWatch:
    """The score conditions of one partition. `columns`: the condition of each term; they are only ever added to.

    `newest`, shape (slots, terms): the newest window end judged, 0: none.
    """

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.cells = Cells(width=0, per_key=1)
        self.newest: npt.NDArray[np.int64] = np.zeros((0, 0), dtype=np.int64)
        self._slots = 0
        self._compiled: dict[int, tuple[dict[str, Judged], Terms]] = {}

    def grow(self, slots: int) -> None:
        """Make room for `slots` patients."""
        self._slots = max(slots, self._slots)
        self.cells.grow(slots)
        self._reshape()

    def judge(self, scores: Scores, slot: Ints, row: Ints, rules: RuleSet) -> tuple[list[Decision], int]:
        """What the chosen rows of one frame decide under `rules`, and how many windows were not newer than one judged
        before (sent again or revised: they never raise). `row` are their places in the frame, `slot` their patients."""
        by_id, terms = self._terms(rules)
        decisions = self.cells.withdraw(terms, int(scores.window_end_ms[row].max()), slots=np.unique(slot))
        again = 0
        for rule in by_id.values():
            said = _said(rule, scores)
            if said is not None:
                found, old = self._judge(rule, said[row], scores, slot, row, terms)
                decisions += found
                again = max(again, old)
        return decisions, again

    def _judge(
        self, rule: Judged, value: Floats, scores: Scores, slot: Ints, row: Ints, terms: Terms
    ) -> tuple[list[Decision], int]:
        """One rule; `value`: what it looks at in each of the rows, the higher the worse."""
        decisions: list[Decision] = []
        term = self.columns.index(rule.id)
        time_ms = scores.window_end_ms[row].astype(np.int64)
        order = sequence(
            key=slot,
            record=np.zeros(len(row), dtype=np.int64),
            time_ms=time_ms,
            boot=np.zeros(len(row), dtype=np.int64),
            seq=np.arange(len(row)),
            newest=self.newest[:, term],
            oldest_ms=0,
        )
        self.newest[order.keys, term] = order.newest
        inside, breach = (
            (rule.clear_below, rule.threshold) if isinstance(rule, ScoreRule) else (rule.clear_by, rule.by)
        )
        level = np.full(len(row), Level.BETWEEN, dtype=np.int8)
        level[value < inside] = Level.INSIDE
        level[value >= breach] = Level.BREACH
        if isinstance(rule, ScoreRule) and rule.critical is not None:
            level[value >= rule.critical] = Level.CRITICAL
        level[(scores.status[row] != _OK) | ~np.isfinite(value)] = Level.NOTHING
        if isinstance(rule, ScoreRule) and rule.completeness > 0 and scores.completeness is not None:
            level[scores.completeness[row] < np.float32(rule.completeness)] = Level.NOTHING
        cell = slot * len(self.columns) + term
        for places in passes(order.group):
            taken = order.rows[places]
            says = (level[taken] >= Level.BREACH) | ((level[taken] != Level.NOTHING) & self.cells.is_open(cell[taken]))
            taken = taken[says]
            if not len(taken):
                continue
            decisions += self.cells.advance(
                Samples(
                    cell=cell[taken],
                    time_ms=time_ms[taken],
                    level=level[taken],
                    value=value[taken],
                    device=np.full(len(taken), -1, dtype=np.int32),
                    row=row[taken],
                ),
                terms,
            )
        return decisions, len(row) - len(order.rows)

    def _terms(self, rules: RuleSet) -> tuple[dict[str, Judged], Terms]:
        by_id: dict[str, Judged] = {rule.id: rule for rule in rules.scores}
        by_id |= {rule.id: rule for rule in rules.relative}
        missing = [name for name in by_id if name not in self.columns]
        if missing:
            self.columns += missing
            self.cells.widen(len(self.columns))
            self.cells.grow(self._slots)
            self._compiled.clear()
            self._reshape()
        if rules.version not in self._compiled:
            self._compiled[rules.version] = (by_id, score_terms(by_id, self.columns))
        return self._compiled[rules.version]

    def _reshape(self) -> None:
        have = self.newest
        want = (self._slots, len(self.columns))
        if have.shape != want:
            self.newest = np.zeros(want, dtype=np.int64)
            self.newest[: have.shape[0], : have.shape[1]] = have

    def load(self, columns: list[str], newest: npt.NDArray[np.int64], cells: npt.NDArray[np.void]) -> None:
        """Replace the state; `newest` has the shape (slots, columns)."""
        self.columns, self._slots, self.newest = list(columns), len(newest), newest
        self._compiled.clear()
        self.cells = Cells(width=len(columns), per_key=1)
        self.cells.grow(len(newest))
        self.cells.load(cells)


def _said(rule: Judged, scores: Scores) -> Floats | None:
    """What `rule` looks at in a frame, one value a row, the higher the worse; None: the frame says nothing about it."""
    if isinstance(rule, ScoreRule):
        return scores.score if scores.model == rule.model else None
    if scores.model != BASELINE:
        return None
    apart = scores.deviation.get(rule.metric)
    if apart is None:
        return None
    return -apart if rule.direction is Direction.LOW else apart
