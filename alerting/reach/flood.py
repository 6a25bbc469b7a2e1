"""A flood of low priority: in any `flood_ms` at most `flood_most` of its alarms are told for the first time, the others one after
the other as there is room. Nothing is dropped, and no other priority waits for it (`contracts.episodes.Grouping`). Pure.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from alerting.reach.call import Call, Phase
from contracts.alarms import Priority
from contracts.episodes import Grouping

REASON: Final = "a flood of low priority: told when there is room"


def takes_room(call: Call) -> bool:
    """Whether telling `call` for the first time takes room: only low priority does."""
    return call.priority is Priority.LOW and call.step < 0 and not call.told


def would_begin(call: Call) -> bool:
    """Whether the waiting of `call` is over."""
    return call.phase is Phase.WAITING and (call.wait_ms or 0) <= 0


def waits_for_room(call: Call) -> bool:
    """Whether a flood has put `call` off, and nothing has happened to it since."""
    return call.delayed and call.phase is Phase.WAITING


class Flood:
    """When the newest alarms of low priority were told, in seconds of a monotonic clock."""

    def __init__(self, grouping: Grouping) -> None:
        self._span_s = grouping.flood_ms / 1000
        self._told_s: deque[float] = deque(maxlen=grouping.flood_most)

    def room(self, now_s: float) -> int:
        """How many more may be told now."""
        assert self._told_s.maxlen is not None
        return self._told_s.maxlen - sum(now_s - self._span_s < at_s for at_s in self._told_s)

    def told(self, at_s: float) -> None:
        """One was told."""
        self._told_s.append(at_s)

    def others_told(self, at_s: float) -> None:
        """One was told by another process, or before this one began; it is heard of once. What is older than the newest of ours
        is put in its place."""
        self._told_s = deque(sorted([*self._told_s, at_s]), maxlen=self._told_s.maxlen)


def longest_waiting_first(call: Call) -> int:
    """For sorting the calls of one priority that wait: by when their waiting was over."""
    return call.wait_ms or 0 if call.phase is Phase.WAITING else 0
