"""Data that came late: what the limits would have said about it, as findings and never as alarms. Pure, columnar.

A row is late when it is older than the idle grace, or not newer than one already judged of its patient and metric; it is never
judged as an alarm. Reviewed is what nobody has judged: rows in a *hole*, a stretch of a patient's metric of which nothing had
been seen, and rows that are newer than all seen and came too late all the same. A row sent again lies in no hole, so a
repetition makes no finding; nor does a single second that was missing among others.

Of each patient and metric one hole is remembered, and how far it has been filled: the one with most left to fill, and none for
longer than an hour when there is another. A hole is filled in the order of time, as a device drains its queue; what comes out
of order within it is left out. The outcome is the same however records are grouped.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from alerting.cells import Cells
from alerting.conditions import Bools, Decision, Ints, Level, Samples
from alerting.rows import Rows
from alerting.sequence import Indices, passes
from alerting.thresholds import CONDITIONS, METRICS, WIDTH, Condition, Floats, Thresholds
from contracts.vitals import CATALOGUE

SHORTEST_HOLE_MS: Final = 15_000
LONGEST_KEPT_MS: Final = 3_600_000
_TIME_BITS: Final = 42  # times end in the year 2100
_TIME_MASK: Final = (1 << _TIME_BITS) - 1
_EACH: Final = np.arange(CONDITIONS)
# How much of a metric must be missing: some times the usual cadence. A missing minute is a hole of a monitor, not of a scale.
HOLE_MS: Final = np.array(
    [max(SHORTEST_HOLE_MS, round(3 * vital.cadence_s * 1000)) for vital in CATALOGUE], dtype=np.int64
)


class LateReview:
    """Holes of one partition's patients and metrics, and the limit conditions as they were in late data.

    Each of shape (slots * METRICS,). `start`, `stop`: the hole, open on both sides; `start` moves on as it is filled. 0, 0: none.
    `tail`: the newest late row reviewed beyond all that was judged, where a device sends nothing in time any more.
    """

    def __init__(self) -> None:
        self.cells = Cells(width=WIDTH, per_key=CONDITIONS)
        self.start: Ints = np.zeros(0, dtype=np.int64)
        self.stop: Ints = np.zeros(0, dtype=np.int64)
        self.tail: Ints = np.zeros(0, dtype=np.int64)

    def grow(self, slots: int) -> None:
        """Make room for `slots` patients."""
        self.cells.grow(slots)
        missing = np.zeros(max(slots * METRICS - len(self.start), 0), dtype=np.int64)
        if len(missing):
            self.start, self.stop = np.append(self.start, missing), np.append(self.stop, missing)
            self.tail = np.append(self.tail, missing)

    def take(self, rows: Rows, key: Ints, newest: Ints, limits: Thresholds, oldest_ms: int) -> list[Decision]:
        """Look at all rows of some keys, those in time included, and review the late ones. `key`: of each row; `newest`: the
        newest time judged of each row's key before these rows; what is before `oldest_ms` is late. Decisions name rows."""
        order = np.lexsort((rows.seq, rows.boot, rows.time_ms, rows.record, key))
        key, times = key[order], rows.time_ms[order]
        ties = (key[1:] == key[:-1]) & (times[1:] == times[:-1]) & (rows.record[order][1:] == rows.record[order][:-1])
        kept = np.append(~ties, True)  # of one moment in one record the highest rank counts
        order, key, times = order[kept], key[kept], times[kept]
        late = times < oldest_ms
        before = _running(key, np.where(late, 0, times), newest[order])  # the newest that was judged
        beyond = late & (times > before) & (before > 0)
        reviewed = _running(key, np.where(beyond, times, 0), self.tail[key])
        np.maximum.at(self.tail, key[beyond], times[beyond])
        since = np.maximum(before, reviewed)
        opens = ~late & (times > before) & (before > 0) & (times - since >= HOLE_MS[key % METRICS])
        judged, unseen = ~late & (times > before), beyond & (times > since)
        epoch = _since_first(key, np.cumsum(opens))
        decisions: list[Decision] = []
        for number in range(int(epoch.max()) + 1):
            now = np.flatnonzero(epoch == number)
            if not len(now):  # every key begins with a hole
                continue
            self._open(key[now], since[now], times[now], opens[now])
            chosen = now[unseen[now] | self._fill(key[now], times[now], judged[now])]
            if len(chosen):
                decisions += self._judge(rows, order[chosen], key[chosen], limits)
        return decisions

    def _open(self, key: Ints, since: Ints, times: Ints, opens: Bools) -> None:
        """New holes, at most one of a key."""
        key, since, times = key[opens], since[opens], times[opens]
        left = self.stop[key] - self.start[key]
        better = (times - since >= left) | (times - self.stop[key] > LONGEST_KEPT_MS)
        key, since, times = key[better], since[better], times[better]
        self.start[key], self.stop[key] = since, times
        self.cells.forget(key)

    def _fill(self, key: Ints, times: Ints, judged: Bools) -> Bools:
        """The rows that lie in the hole of their key, beyond what has been filled of it."""
        start = self.start[key]
        within = ~judged & (times < self.stop[key])
        fills = within & (times > _running(key, np.where(within, times, 0), start))
        np.maximum.at(self.start, key[fills], times[fills])
        return np.asarray(fills)

    def _judge(self, rows: Rows, row: Indices, key: Ints, limits: Thresholds) -> list[Decision]:
        metric, value, times = rows.metric[row], rows.value[row], rows.time_ms[row]
        levels = self._levels(rows, row, metric, value, limits)
        cells = (key * CONDITIONS)[:, None] + _EACH
        group = np.cumsum(np.append(False, key[1:] != key[:-1]))
        decisions: list[Decision] = []
        for places in passes(group):
            level, cell = levels[places], cells[places]
            back = self.cells.is_open(cell) & (self.cells.run_to(cell) >= times[places][:, None])
            if back.any():  # another stretch: what was running belongs to a later one
                self.cells.forget(np.unique(key[places][back.any(axis=1)]))
            says = (level >= Level.BREACH) | ((level != Level.NOTHING) & self.cells.is_open(cell))
            place, condition = np.nonzero(says)
            if not len(place):
                continue
            source = places[place]
            decisions += self.cells.advance(
                Samples(
                    cell=cell[place, condition],
                    time_ms=times[source],
                    level=level[place, condition],
                    value=value[source],
                    device=rows.device[row[source]],
                    row=row[source].astype(np.int64),
                ),
                limits.terms,
            )
        return decisions

    @staticmethod
    def _levels(
        rows: Rows, row: Indices, metric: npt.NDArray[np.int16], value: Floats, limits: Thresholds
    ) -> npt.NDArray[np.int8]:
        place = limits.place(rows.slot[row], metric)
        levels = limits.levels(metric, place, value, rows.quality[row], rows.implausible[row])
        levels[:, Condition.SIGNAL] = Level.NOTHING  # that a sensor was off some time ago tells nobody anything
        return levels


def _running(key: Ints, times: Ints, first: Ints) -> Ints:
    """The newest time before each row among the rows of its key, and `first` of the key. Rows are grouped by key."""
    begins = np.append(True, key[1:] != key[:-1])
    group = np.cumsum(begins) - 1
    top = np.maximum.accumulate((group << _TIME_BITS) | times) & _TIME_MASK
    before = np.empty(len(key), dtype=np.int64)
    before[1:] = top[:-1]
    before[begins] = 0
    return np.maximum(before, first)


def _since_first(key: Ints, count: Ints) -> Ints:
    """How much `count` has risen since before the first row of each key."""
    begins = np.append(True, key[1:] != key[:-1])
    base = np.append(0, count[:-1])[begins]
    return np.asarray(count - base[np.cumsum(begins) - 1])
