"""The windows of a log in plain, slow Python: no columns, no ring, no buckets. Knows the rules, not the room.

One room's rules that depend on its memory are arguments here: how old a reading may be to be taken (`revise_hops`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.vitals import BY_NAME
from tests.stream_processors.logs import PATIENTS, T0, Sample

HOP, SHORT, LONG = 10_000, 60_000, 300_000
Row = tuple[str, int, int, int, int]  # patient, span, end, late, revised; seconds after T0


@dataclass(frozen=True)
class Cell:
    rank: tuple[int, int]
    value: float
    quality: int

    @property
    def usable(self) -> bool:
        return self.quality <= 1


@dataclass
class Oracle:
    """Feed it the samples between ticks, then the tick; it tells the windows sent."""

    revise_hops: int
    lateness_ms: int = 2_000
    grace_ms: int = 15_000
    cells: dict[tuple[int, str], dict[int, Cell]] = field(default_factory=dict)  # of patient and metric, by second
    newest: dict[int, int] = field(default_factory=dict)
    closed: dict[int, int] = field(default_factory=dict)
    late: dict[tuple[int, int, int], int] = field(default_factory=dict)  # patient, span, end
    clock: int | None = None

    def tick(self, samples: Sequence[Sample], tick_s: int) -> list[tuple[Row, dict[str, float]]]:
        tick_ms = T0 + tick_s * 1000
        clock = tick_ms if self.clock is None else self.clock
        self.clock = tick_ms
        dirty: set[tuple[int, int, int]] = set()
        before: dict[tuple[int, str, int], Cell | None] = {}
        for s in samples:
            if s.time_ms // HOP < clock // HOP - self.revise_hops:
                continue
            cells = self.cells.setdefault((s.patient, s.metric), {})
            second = s.time_ms // 1000
            rank = (s.time_ms % 1000, s.seq)
            old = cells.get(second)
            before.setdefault((s.patient, s.metric, second), old)
            if old is None or rank > old.rank:
                quality = s.quality
                vital = BY_NAME[s.metric]
                if not vital.hard_low <= s.value <= vital.hard_high:
                    quality = max(quality, 2)
                cells[second] = Cell(rank, s.value, quality)
            self.newest[s.patient] = max(s.time_ms, self.newest.get(s.patient, 0))
        silent = (clock - self.grace_ms) // HOP * HOP
        for (patient, metric, second), old in before.items():
            new = self.cells[patient, metric][second]
            if new == old or not (new.usable or (old is not None and old.usable)):
                continue
            for span in (SHORT, LONG):
                for end in self._ends(second * 1000, span):
                    if end <= self.closed.get(patient, silent):
                        self.late[patient, span, end] = self.late.get((patient, span, end), 0) + 1
                        dirty.add((patient, span, end))
        sent = [self._row(*which, revised=1) for which in sorted(dirty)]
        for patient, newest in self.newest.items():
            start = self.closed.get(patient, silent)
            reached = max(newest - self.lateness_ms, tick_ms - self.grace_ms) // HOP * HOP
            self.closed[patient] = max(start, reached)
            for end in range(start + HOP, reached + HOP, HOP):
                sent.append(self._row(patient, SHORT, end, revised=0))
                if end % SHORT == 0:
                    sent.append(self._row(patient, LONG, end, revised=0))
        return [s for s in sent if s[1]]

    @staticmethod
    def _ends(time_ms: int, span: int) -> range:
        step = HOP if span == SHORT else SHORT
        first = time_ms // step * step + step
        return range(first, time_ms + span + 1, step)

    def _row(self, patient: int, span: int, end: int, *, revised: int) -> tuple[Row, dict[str, float]]:
        features: dict[str, float] = {}
        start_s = (end - span) // 1000
        for (whose, metric), cells in self.cells.items():
            seconds = range(start_s, end // 1000) if whose == patient else ()
            inside = [(s - start_s, cells[s]) for s in seconds if s in cells and cells[s].usable]
            if inside:
                found = describe([t for t, _ in inside], [c.value for _, c in inside], span)
                found["good"] = sum(c.quality == 0 for _, c in inside) / len(inside)
                found["coverage"] = min(1.0, len(inside) / max(1.0, span / 1000 / BY_NAME[metric].cadence_s))
                features |= {f"{metric}.{name}": value for name, value in found.items()}
        late = self.late.get((patient, span, end), 0) if revised else 0
        return (PATIENTS[patient], span // 1000, (end - T0) // 1000, late, revised), features


def describe(times: Sequence[float], values: Sequence[float], span: int) -> dict[str, float]:
    """The statistics of values at times in seconds; those that are unknown are left out."""
    found = {
        "count": float(len(values)),
        "mean": statistics.fmean(values),
        "min": min(values),
        "max": max(values),
        "last": values[-1],
    }
    if span == SHORT:
        found["median"] = statistics.median(values)
    if len(values) > 1:
        found["std"] = statistics.stdev(values)
        found["slope"] = statistics.linear_regression(times, values).slope * 60
    assert all(math.isfinite(value) for value in found.values())
    return found
