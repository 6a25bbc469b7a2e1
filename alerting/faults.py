"""Processing faults: our own code failed on a patient's record, and until later records go well nobody watches that patient.

A worker that puts a record aside writes a notice into the readings log (`contracts.faults`). The alarm is raised at the next
tick. It ends when data of that patient has come after the newest notice and `clear_after_s` of ticks have passed since then
without another: a record that fails is told within a second or two. A patient whose devices are silent stays in alarm: nothing
shows that the fault is over. Pure; a function of the readings log alone.

Notices of one worker and topic come in the order of the offsets they name, so one at or before the newest is a repetition
after a crash and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from alerting.conditions import Ints, Kind
from alerting.rules.equipment import FaultRule
from contracts.faults import Fault

# The subject of a fault of which nobody knows whose record it was.
NOBODY = -1


class Open(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One patient whose data failed. `slot`: -1 is the group. `onset_ms`: the tick of the alarm, 0: it waits for one.
    `good_ms`: the time listened when data came after the newest notice, -1: none has."""

    slot: int
    room: str
    priority: int = 0
    onset_ms: int = 0
    good_ms: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultDecision:
    """One change of one alarm. `slot`: the patient's, or `NOBODY`."""

    kind: Kind
    slot: int
    room: str
    onset_ms: int
    at_ms: int
    priority: int


class FaultWatch:
    """The patients of one partition on whose records our own code fails. They are few: each is an object."""

    def __init__(self) -> None:
        self._open: dict[int, Open] = {}
        self.newest: dict[str, int] = {}  # "room topic" -> the offset of its newest notice

    @property
    def active(self) -> int:
        """How many alarms are active."""
        return sum(item.onset_ms > 0 for item in self._open.values())

    def take(self, fault: Fault, slots: Iterable[int]) -> None:
        """A notice, and whose data it was; `NOBODY` alone where nobody could tell."""
        key = f"{fault.room} {fault.topic}"
        if fault.offset <= self.newest.get(key, -1):
            return
        self.newest[key] = fault.offset
        for slot in slots:
            item = self._open.setdefault(slot, Open(slot=slot, room=fault.room))
            item.room, item.good_ms = fault.room, -1

    def hear(self, slot: Ints, listened_ms: int) -> None:
        """Rows of these patients came."""
        if not self._open or not len(slot):
            return
        heard = set(slot.tolist())
        for item in self._open.values():
            if item.good_ms < 0 and (item.slot == NOBODY or item.slot in heard):
                item.good_ms = listened_ms

    def tick(self, tick_ms: int, listened_ms: int, rule: FaultRule, code: int) -> list[FaultDecision]:
        """What is to be said at this tick. `code`: the rule's priority as a number."""
        found: list[FaultDecision] = []
        for slot in sorted(self._open):
            item = self._open[slot]
            if not item.onset_ms:
                item.onset_ms, item.priority = tick_ms, code
                found.append(_decision(Kind.RAISED, item, tick_ms))
            elif item.good_ms >= 0 and listened_ms - item.good_ms >= round(rule.clear_after_s * 1000):
                found.append(_decision(Kind.CLEARED, item, tick_ms))
                del self._open[slot]
        return found

    def export(self) -> list[Open]:
        """The state, by patient."""
        return [self._open[slot] for slot in sorted(self._open)]

    def load(self, found: Sequence[Open], newest: dict[str, int]) -> None:
        """Replace the state."""
        self._open, self.newest = {item.slot: item for item in found}, dict(newest)


def _decision(kind: Kind, item: Open, tick_ms: int) -> FaultDecision:
    return FaultDecision(
        kind=kind, slot=item.slot, room=item.room, onset_ms=item.onset_ms, at_ms=tick_ms, priority=item.priority
    )
