"""Limits and signal quality: readings in, decisions out. A function of the readings log alone. Pure, columnar."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from alerting.cells import Cells
from alerting.conditions import Decision, Ints, Level, Samples
from alerting.late import HOLE_MS, SHORTEST_HOLE_MS, LateReview
from alerting.rows import Rows
from alerting.sequence import Sequence, passes, sequence
from alerting.thresholds import CONDITIONS, METRICS, WIDTH, Thresholds

_EACH: Final = np.arange(CONDITIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What rows decide, what those that came late would have decided, and how many these are. `distinct`: no two rows were of
    one patient and metric."""

    decisions: list[Decision]
    findings: list[Decision]
    late: int
    distinct: bool


class LimitWatch:
    """The limit and signal conditions of one partition.

    `newest`, shape (slots * METRICS,): the newest event time judged of each patient and metric, 0: none. One value per
    patient, metric and moment: when several devices measure the same metric of a patient, their samples form one series.
    `review`: what is made of those that came late.
    """

    def __init__(self) -> None:
        self.cells = Cells(width=WIDTH, per_key=CONDITIONS)
        self.newest: Ints = np.zeros(0, dtype=np.int64)
        self.review = LateReview()

    def grow(self, slots: int) -> None:
        """Make room for `slots` patients."""
        self.cells.grow(slots)
        self.review.grow(slots)
        missing = slots * METRICS - len(self.newest)
        if missing > 0:
            self.newest = np.concatenate([self.newest, np.zeros(missing, dtype=np.int64)])

    def judge(self, rows: Rows, limits: Thresholds, oldest_ms: int, *, review: bool) -> Judged:
        """What `rows` decide. Late is what is not newer than the newest of its patient and metric, or before `oldest_ms`: it
        neither raises, holds nor ends anything, and is reviewed if `review`."""
        key = rows.slot * METRICS + rows.metric
        order = sequence(
            key=key,
            record=rows.record,
            time_ms=rows.time_ms,
            boot=rows.boot,
            seq=rows.seq,
            newest=self.newest,
            oldest_ms=oldest_ms,
        )
        late = len(rows) - len(order.rows)
        findings = self._review(rows, key, order, limits, oldest_ms, late=late) if review else []
        self.newest[order.keys] = order.newest
        decisions, distinct = self._decide(rows, key, order, limits), len(order.keys) == len(rows)
        return Judged(decisions=decisions, findings=findings, late=late, distinct=distinct)

    def _review(
        self, rows: Rows, key: Ints, order: Sequence, limits: Thresholds, oldest_ms: int, *, late: int
    ) -> list[Decision]:
        """Keys with late rows, or with a hole: usually none."""
        gap_ms = order.newest - order.before
        if not late and int(gap_ms.max()) < SHORTEST_HOLE_MS:
            return []
        touched = gap_ms >= HOLE_MS[order.keys % METRICS]
        if len(order.keys) == len(rows):  # the first sample of a key ends no hole
            touched &= order.before > 0
        if late:
            punctual = np.zeros(len(rows), dtype=np.bool_)
            punctual[order.rows] = True
            touched |= np.isin(order.keys, key[~punctual])
        elif not touched.any():
            return []
        chosen = np.flatnonzero(np.isin(key, order.keys[touched]))
        found = self.review.take(rows.where(chosen), key[chosen], self.newest[key[chosen]], limits, oldest_ms)
        return [replace(decision, row=int(chosen[decision.row])) for decision in found]

    def _decide(self, rows: Rows, key: Ints, order: Sequence, limits: Thresholds) -> list[Decision]:
        taken, group = order.rows, order.group
        metric, value, quality = rows.metric[taken], rows.value[taken], rows.quality[taken]
        where = limits.place(rows.slot[taken], metric)
        wanted = limits.suspicious(where, value, quality)
        wanted |= self.cells.busy[order.keys[group]] > 0
        if not wanted.any():
            return []
        if len(order.keys) < len(rows):  # all samples of a key matter as soon as one does
            chosen = np.zeros(len(order.keys), dtype=np.bool_)
            chosen[group[wanted]] = True
            wanted = chosen[group]
        kept = np.flatnonzero(wanted)
        taken, metric, value = taken[kept], metric[kept], value[kept]
        levels = limits.levels(metric, where[kept], value, quality[kept], rows.implausible[taken])
        cells = (key[taken] * CONDITIONS)[:, None] + _EACH
        decisions: list[Decision] = []
        for places in passes(group[kept]):
            level, cell = levels[places], cells[places]
            says = (level >= Level.BREACH) | ((level != Level.NOTHING) & self.cells.is_open(cell))
            place, condition = np.nonzero(says)
            if not len(place):
                continue
            source = places[place]
            row = taken[source]
            decisions += self.cells.advance(
                Samples(
                    cell=cell[place, condition],
                    time_ms=rows.time_ms[row],
                    level=level[place, condition],
                    value=value[source],
                    device=rows.device[row],
                    row=row.astype(np.int64),
                ),
                limits.terms,
            )
        return decisions
