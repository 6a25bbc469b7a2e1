"""Reading what `/metrics` of a process says: the Prometheus text format, as far as our own metrics use it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_LINE: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: \d+)?")
_LABEL: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One line: `name{labels} value`."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(text: str) -> list[Sample]:
    """Every sample in `text`; a line that is none is left out.

    >>> samples('# HELP x y\\nvigil_lag_records 3.0\\n')
    [Sample(name='vigil_lag_records', labels={}, value=3.0)]
    """
    found = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        found.append(Sample(name=match[1], labels=dict(_LABEL.findall(match[2] or "")), value=value))
    return found


def total(found: Iterable[Sample], name: str, **labels: str) -> float | None:
    """The sum of a metric over all its labels, or over those that have `labels`; None: there is none."""
    values = [s.value for s in found if s.name == name and labels.items() <= s.labels.items()]
    return sum(values) if values else None


def quantile(before: Sequence[Sample], now: Sequence[Sample], name: str, share: float) -> float | None:
    """The upper edge of the bucket in which the `share` of a histogram's observations between two readings lies, in seconds; None
    where there was none, and infinity where it is beyond the last bucket."""
    buckets = [(float(s.labels["le"]), s.value) for s in now if s.name == f"{name}_bucket" and "le" in s.labels]
    earlier = [(float(s.labels["le"]), s.value) for s in before if s.name == f"{name}_bucket" and "le" in s.labels]
    counts: dict[float, float] = {}
    for sign, some in ((1.0, buckets), (-1.0, earlier)):
        for edge, count in some:
            counts[edge] = counts.get(edge, 0.0) + sign * count
    observed = counts.get(math.inf, 0.0)
    if observed <= 0:
        return None
    return next(edge for edge in sorted(counts) if counts[edge] >= share * observed)
