"""Limits and signal quality: readings in, decisions out. A function of the readings log alone. Pure, columnar."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.conditions import Bools, Cells, Decision, Ints, Level, Samples
from alerting.sequence import passes, sequence
from alerting.thresholds import CONDITIONS, METRICS, WIDTH, Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Accepted readings of one partition in log order. `record` numbers the record a row came in, `slot` its patient,
    `device` its device (-1: not kept)."""

    record: Ints
    slot: Ints
    device: npt.NDArray[np.int32]
    metric: npt.NDArray[np.int16]
    value: npt.NDArray[np.float32]
    time_ms: Ints
    boot: npt.NDArray[np.int32]
    seq: Ints
    quality: npt.NDArray[np.uint8]
    implausible: Bools

    def __len__(self) -> int:
        return len(self.value)

    def where(self, chosen: Bools) -> Rows:
        """The chosen rows."""
        return Rows(**{name: getattr(self, name)[chosen] for name in _COLUMNS})


_EACH: Final = np.arange(CONDITIONS)
_COLUMNS: Final = tuple(column.name for column in fields(Rows))


class LimitWatch:
    """The limit and signal conditions of one partition.

    `newest`, shape (slots * METRICS,): the newest event time judged of each patient and metric, 0: none. One value per
    patient, metric and moment: when several devices measure the same metric of a patient, their samples form one series.
    """

    def __init__(self) -> None:
        self.cells = Cells(width=WIDTH, per_key=CONDITIONS)
        self.newest: Ints = np.zeros(0, dtype=np.int64)

    def grow(self, slots: int) -> None:
        """Make room for `slots` patients."""
        self.cells.grow(slots)
        missing = slots * METRICS - len(self.newest)
        if missing > 0:
            self.newest = np.concatenate([self.newest, np.zeros(missing, dtype=np.int64)])

    def judge(self, rows: Rows, limits: Thresholds, oldest_ms: int) -> tuple[list[Decision], int]:
        """What `rows` decide, and how many of them came too late to be judged: not newer than the newest of their patient
        and metric, or before `oldest_ms`. Late rows neither raise, hold nor end anything."""
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
        self.newest[order.keys] = order.newest
        late = len(rows) - len(order.rows)

        taken, group = order.rows, order.group
        metric, value, quality = rows.metric[taken], rows.value[taken], rows.quality[taken]
        wanted = limits.suspicious(metric, value, quality)
        wanted |= self.cells.busy[order.keys[group]] > 0
        if not wanted.any():
            return [], late
        if len(order.keys) < len(rows):  # all samples of a key matter as soon as one does
            chosen = np.zeros(len(order.keys), dtype=np.bool_)
            chosen[group[wanted]] = True
            wanted = chosen[group]
        kept = np.flatnonzero(wanted)
        taken, metric, value = taken[kept], metric[kept], value[kept]
        levels = limits.levels(metric, value, quality[kept], rows.implausible[taken])
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
        return decisions, late
