"""Putting samples into the order in which rules must see them. Pure, vectorised.

Records are taken in log order; within one record, the samples of one key go by event time, and of several with the same
time the highest (boot, seq) counts. A sample not newer than all before it of its key is out of order and is not judged.
What is too old to be judged leaves no trace. The outcome is the same however records are grouped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]

# Times end in the year 2100, below 2**42 milliseconds; so a group number and a time share 64 bits.
_TIME_BITS: Final = 42
_TIME_MASK: Final = (1 << _TIME_BITS) - 1
MAX_ROWS: Final = 1 << 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """`rows`: indices of the samples to judge, grouped by key, in order within a key. `group`: the number of each row's
    group, from 0 without gaps. `keys`, `before`, `newest`: each group's key, and the newest time judged of it before and after
    these samples."""

    rows: Indices
    group: Indices
    keys: Ints
    before: Ints
    newest: Ints


def sequence(
    *,
    key: Ints,
    record: Ints,
    time_ms: Ints,
    boot: npt.NDArray[np.integer[Any]],
    seq: Ints,
    newest: Ints,
    oldest_ms: int,
) -> Sequence:
    """The samples that are newer than `newest[key]` and than all before them of their key, and not before `oldest_ms`.

    At most `MAX_ROWS` rows. `record` must not fall from row to row.
    """
    order = _by_key(key)
    ordered = key[order]
    same = ordered[1:] == ordered[:-1]
    times = time_ms[order]
    if not same.any():  # each key once: the usual frame
        known = newest[ordered]
        timely = (times > known) & (times >= oldest_ms)
        fresh = np.flatnonzero(timely)
        newest_of = times if len(fresh) == len(times) else np.where(timely, times, known)
        return Sequence(rows=order[fresh], group=fresh, keys=ordered, before=known, newest=newest_of)
    if np.any(same & (record[order][1:] == record[order][:-1]) & (times[1:] <= times[:-1])):
        order = np.lexsort((seq, boot, time_ms, record, key))
        times = time_ms[order]
        ties = same & (record[order][1:] == record[order][:-1]) & (times[1:] == times[:-1])
        order = order[np.append(~ties, True)]
        ordered, times = key[order], time_ms[order]
        same = ordered[1:] == ordered[:-1]
    first = np.append(True, ~same)
    starts = np.flatnonzero(first)
    keys = ordered[starts]
    group = np.cumsum(first) - 1
    known = newest[keys]
    tagged = group << _TIME_BITS
    # The running maximum of (group, time) is the running maximum of time within each group.
    top = np.maximum.accumulate(tagged | np.where(times >= oldest_ms, times, 0))
    before = np.empty(len(order), dtype=np.int64)
    before[1:] = top[:-1] & _TIME_MASK
    before[starts] = 0
    fresh = (times > np.maximum(before, known[group])) & (times >= oldest_ms)
    ends = np.append(starts[1:], len(order)) - 1
    return Sequence(
        rows=order[fresh],
        group=group[fresh],
        keys=keys,
        before=known,
        newest=np.maximum(top[ends] & _TIME_MASK, known),
    )


def passes(group: Indices) -> Iterator[Indices]:
    """Positions to handle together: the first of every group, then the second, and so on. `group` is ascending."""
    if not len(group):
        return
    fresh = group[1:] != group[:-1]
    if fresh.all():
        yield np.arange(len(group))
        return
    first = np.append(True, fresh)
    starts = np.flatnonzero(first)
    turn = np.arange(len(group)) - starts[np.cumsum(first) - 1]
    by_turn = np.argsort(turn, kind="stable")
    counts = np.bincount(turn)
    end = 0
    for count in counts.tolist():
        yield by_turn[end : end + count]
        end += count


def _by_key(key: Ints) -> Indices:
    """Stable order by key. Key and position packed into one number sort several times faster than an argsort."""
    bits = max(len(key) - 1, 1).bit_length()
    packed = (key << bits) | np.arange(len(key))
    packed.sort()
    return np.asarray(packed & ((1 << bits) - 1), dtype=np.intp)
