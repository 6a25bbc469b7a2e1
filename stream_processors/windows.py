"""When windows close, and what is sent when they do or when late readings change them.

A patient's watermark is the later of newest reading - lateness and tick - grace: one bad clock cannot move another
patient, and a silent patient's windows still close. Windows are half-open [end - span, end); short ones end on whole ten
seconds, long ones on whole minutes. A window without a single usable value is not sent.

A reading is late for a window that had closed before it came. It still enters the ring; the window is computed again and
sent with `revised` set, at the next tick. All of this is a function of the last `Policy.lookback_ms` of the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.vitals import CATALOGUE
from contracts.windows import HOP_MS, LONG_MS, SHORT_MS
from stream_processors.minutes import Minutes
from stream_processors.policy import HOPS_AHEAD, LONG_HOPS, SHORT_HOPS, Policy
from stream_processors.ring import Ring, fitting, grown, roomy
from stream_processors.slots import Index, Planes
from stream_processors.statistics import Moments, features, summarise

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

_NEVER: Final = -(1 << 62)
_CADENCE_S: Final = np.array([vital.cadence_s for vital in CATALOGUE])


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Windows of one span and end. `features` has the shape (statistics, planes, slots)."""

    slots: Index
    end_hop: int
    span_ms: int
    late: npt.NDArray[np.int32]
    revised: bool
    planes: Index
    features: Floats


class WindowState:
    """How far the windows of each patient are closed, and what late readings changed since the last tick."""

    def __init__(self, policy: Policy, ring: Ring, planes: Planes) -> None:
        self._policy, self._ring, self._planes = policy, ring, planes
        self._minutes = Minutes(policy)
        self.newest_ms = np.zeros(0, dtype=np.int64)
        self.closed_hop = np.zeros(0, dtype=np.int64)  # every window that ends with this hop or before has closed
        # Late values by window end, of the ends that a late reading may still reach.
        self._short_late = np.zeros((policy.revise_hops + 3, 0), dtype=np.int32)
        self._long_late = np.zeros((policy.revise_hops // SHORT_HOPS + 2, 0), dtype=np.int32)
        self._changed_short: list[tuple[Index, Longs]] = []  # slot and end of windows to compute again
        self._changed_long: list[tuple[Index, Longs]] = []
        self._clock_hop = 0
        self._silent_hop = 0  # how far a patient is closed of whom nothing was heard

    def fit(self, planes: int, slots: int) -> None:
        """Make place for so many metrics and patients. A new patient is as one who was silent."""
        self._minutes.fit(planes, slots)
        width = roomy(slots, len(self.newest_ms))
        if width > len(self.newest_ms):
            self.newest_ms = grown(self.newest_ms, (width,), fill=_NEVER)
            self.closed_hop = grown(self.closed_hop, (width,), fill=self._silent_hop)
            self._short_late = grown(self._short_late, (len(self._short_late), width))
            self._long_late = grown(self._long_late, (len(self._long_late), width))

    def start(self, clock_ms: int) -> None:
        """The first tick of the partition."""
        self._clock_hop = clock_ms // HOP_MS
        self._silent_hop = (clock_ms - self._policy.grace_ms) // HOP_MS
        self.closed_hop[:] = self._silent_hop

    def move(self, clock_hop: int) -> None:
        """The clock reached `clock_hop`, the next after the last: ends that come into reach have no late values yet."""
        reach = clock_hop + HOPS_AHEAD
        self._short_late[reach % len(self._short_late)] = 0
        if reach % SHORT_HOPS == 0:
            self._long_late[reach // SHORT_HOPS % len(self._long_late)] = 0
        self._clock_hop = clock_hop

    def jump(self, clock_ms: int) -> None:
        """Nothing was heard for so long that nothing can be sent: go on as if started at `clock_ms`."""
        self._minutes.forget_all()
        self._short_late[:] = 0
        self._long_late[:] = 0
        self.start(clock_ms)

    def save(self, slots: int) -> dict[str, npt.NDArray[Any]]:
        """The whole state of the first `slots` patients."""
        return {
            **self._minutes.save(slots),
            "windows.newest_ms": self.newest_ms[:slots], "windows.closed_hop": self.closed_hop[:slots],
            "windows.short_late": self._short_late[:, :slots], "windows.long_late": self._long_late[:, :slots],
            "windows.changed_short": _joined(self._changed_short), "windows.changed_long": _joined(self._changed_long),
            "windows.hops": np.array([self._clock_hop, self._silent_hop]),
        }  # fmt: skip

    def load(self, arrays: Mapping[str, npt.NDArray[Any]], planes: int, slots: int) -> None:
        """Become what `save` gave. Raises `InvalidInput` when it does not fit this policy."""
        self._minutes.load(arrays, planes, slots)
        self.newest_ms = fitting(arrays, "windows.newest_ms", np.int64, (slots,))
        self.closed_hop = fitting(arrays, "windows.closed_hop", np.int64, (slots,))
        self._short_late = fitting(arrays, "windows.short_late", np.int32, (len(self._short_late), slots))
        self._long_late = fitting(arrays, "windows.long_late", np.int32, (len(self._long_late), slots))
        self._changed_short = _parted(arrays, "windows.changed_short", slots)
        self._changed_long = _parted(arrays, "windows.changed_long", slots)
        self._clock_hop, self._silent_hop = fitting(arrays, "windows.hops", np.int64, (2,)).tolist()

    def late(self, slots: Index, hops: Longs) -> npt.NDArray[np.bool_]:
        """Whether a reading of `hops` comes after the close of the first window it is part of."""
        return hops < self.closed_hop[slots]

    def note_late(self, slots: Index, hops: Longs) -> None:
        """Values of these hops changed after windows with them had closed."""
        for slot, end in _each_end(slots, hops, self.closed_hop, range(1, SHORT_HOPS + 1)):
            np.add.at(self._short_late, (end % len(self._short_late), slot), 1)
            self._changed_short.append((slot, end))
        for slot, end in _each_end(slots, hops, self.closed_hop, range(1, LONG_HOPS + 1)):
            whole = end % SHORT_HOPS == 0
            slot, end = slot[whole], end[whole]
            if len(slot):
                np.add.at(self._long_late, (end // SHORT_HOPS % len(self._long_late), slot), 1)
                self._changed_long.append((slot, end))

    def revise(self) -> Iterator[Part]:
        """The windows that late readings changed, oldest end first."""
        if not self._changed_short:
            return
        short, long = _by_end(self._changed_short), _by_end(self._changed_long)
        self._changed_short, self._changed_long = [], []
        for end, slots in short:
            late = self._short_late[end % len(self._short_late), slots]
            yield from self._short(end, slots, late=late, revised=True)
        for end, slots in long:
            late = self._long_late[end // SHORT_HOPS % len(self._long_late), slots]
            yield from self._long(end, slots, late=late, revised=True)

    def close(self, clock_ms: int, slots: Index) -> Iterator[Part]:
        """Close what the watermark of each of `slots` has passed at this tick, oldest end first."""
        self._silent_hop = (clock_ms - self._policy.grace_ms) // HOP_MS
        reached = np.maximum((self.newest_ms - self._policy.lateness_ms) // HOP_MS, self._silent_hop)
        before, after = self.closed_hop[slots], reached[slots]
        moved = after > before
        self.closed_hop = np.maximum(self.closed_hop, reached)
        if not moved.any():
            return
        slots, before, after = slots[moved], before[moved], after[moved]
        newest = self.newest_ms[slots]
        for end in range(int(before.min()) + 1, int(after.max()) + 1):
            closing = (before < end) & (after >= end)
            whole = end % SHORT_HOPS == 0
            if whole:
                self._minutes.forget(end, slots[closing])
            heard = slots[closing & (newest >= end * HOP_MS - SHORT_MS)]
            if len(heard):
                yield from self._short(end, heard, late=np.zeros(len(heard), dtype=np.int32), revised=False)
            if whole:
                heard = slots[closing & (newest >= end * HOP_MS - LONG_MS)]
                yield from self._long(end, heard, late=np.zeros(len(heard), dtype=np.int32), revised=False)

    def _short(self, end: int, slots: Index, *, late: npt.NDArray[np.int32], revised: bool) -> Iterator[Part]:
        planes = self._ring.planes_of(end)
        if not len(planes):
            return
        window = self._ring.window(end, planes, slots)
        moments, median = summarise(window, self._ring.questionable(end, planes, slots))
        if end % SHORT_HOPS == 0:
            self._minutes.keep(end, planes, slots, moments)
        yield from self._part(end, SHORT_MS, slots, planes, moments, median, late=late, revised=revised)

    def _long(self, end: int, slots: Index, *, late: npt.NDArray[np.int32], revised: bool) -> Iterator[Part]:
        planes, moments = self._minutes.long_window(end, slots)
        yield from self._part(end, LONG_MS, slots, planes, moments, None, late=late, revised=revised)

    def _part(
        self, end: int, span_ms: int, slots: Index, planes: Index, moments: Moments, median: Floats | None, *,
        late: npt.NDArray[np.int32], revised: bool,
    ) -> Iterator[Part]:  # fmt: skip
        some = moments.count.any(axis=0)
        if not some.any():
            return
        cadence_s = _CADENCE_S[[self._planes.metrics[plane] for plane in planes]]
        table = features(moments, median, np.maximum(span_ms / 1000 / cadence_s, 1.0))
        if not some.all():
            slots, late, table = slots[some], late[some], table[:, :, some]
        yield Part(
            slots=slots, end_hop=end, span_ms=span_ms, late=late, revised=revised, planes=planes, features=table
        )


def _joined(changed: Sequence[tuple[Index, Longs]]) -> Longs:
    """Slots and ends as one array, shape (2, changes)."""
    if not changed:
        return np.zeros((2, 0), dtype=np.int64)
    return np.stack([np.concatenate([slots for slots, _ in changed]), np.concatenate([ends for _, ends in changed])])


def _parted(arrays: Mapping[str, npt.NDArray[Any]], name: str, slots: int) -> list[tuple[Index, Longs]]:
    """What `_joined` gave, as a list again."""
    width = arrays[name].shape[-1] if name in arrays else 0
    slot, end = fitting(arrays, name, np.int64, (2, width))
    if width and not 0 <= slot.min() <= slot.max() < slots:
        raise InvalidInput("snapshot", f"names patients in {name} that it does not hold")
    return [(slot.astype(np.intp), end)] if width else []


def _each_end(slots: Index, hops: Longs, closed: Longs, reach: range) -> Iterator[tuple[Index, Longs]]:
    """Slot and end of every closed window that values of `hops` are part of; `reach`: hops from a value to its ends."""
    for ahead in reach:
        end = hops + ahead
        shut = end <= closed[slots]
        if not shut.any():
            return  # a later end is closed for nobody either
        yield slots[shut], end[shut]


def _by_end(changed: list[tuple[Index, Longs]]) -> Iterator[tuple[int, Index]]:
    """Each end once, oldest first, with its slots once each."""
    if not changed:
        return
    slots, ends = np.concatenate([s for s, _ in changed]), np.concatenate([e for _, e in changed])
    for end in np.unique(ends):
        yield int(end), np.unique(slots[ends == end])
