"""The windows of one tick as frames: rows by end of window as they closed, patients by name.

Slots and planes are given in the order of first appearance; here that order is left behind, so that a room rebuilt from
the log writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from contracts.vitals import CATALOGUE
from contracts.windows import HOP_MS, STATISTICS, Windows
from stream_processors.slots import Planes, Slots
from stream_processors.windows import Part

_COUNT = STATISTICS.index("count")
_MEDIAN = STATISTICS.index("median")


def frames(parts: Sequence[Part], slots: Slots, planes: Planes, rows: int) -> Iterator[Windows]:
    """`parts` as frames of at most `rows` rows each."""
    if not parts:
        return
    place = np.empty(len(slots), dtype=np.intp)
    place[slots.by_name()] = np.arange(slots.patients)
    orders = [np.argsort(place[part.slots]) for part in parts]
    sizes = [len(part.slots) for part in parts]
    slot = np.concatenate([part.slots[order] for part, order in zip(parts, orders, strict=True)])
    table = np.full((len(STATISTICS), len(planes), len(slot)), np.nan, dtype=np.float32)
    start = 0
    for part, order in zip(parts, orders, strict=True):
        table[:, part.planes, start : start + len(order)] = part.features[:, :, order]
        start += len(order)
    end_ms = np.repeat(np.array([part.end_hop for part in parts], dtype=np.int64) * HOP_MS, sizes)
    span_ms = np.repeat(np.array([part.span_ms for part in parts], dtype=np.int32), sizes)
    late = np.concatenate([part.late[order] for part, order in zip(parts, orders, strict=True)])
    revised = np.repeat(np.array([part.revised for part in parts], dtype=np.uint8), sizes)
    for first in range(0, len(slot), rows):
        some = slice(first, first + rows)
        yield Windows(
            patient=slots.labels(slot[some]),
            window_end_ms=end_ms[some],
            span_ms=span_ms[some],
            late=late[some],
            revised=revised[some],
            features={
                f"{CATALOGUE[metric].name}.{statistic}": table[number, plane, some]
                for plane, metric in enumerate(planes.metrics)
                if not np.isnan(table[_COUNT, plane, some]).all()
                for number, statistic in enumerate(STATISTICS)
                if number != _MEDIAN or not np.isnan(table[_MEDIAN, plane, some]).all()
            },
        )
