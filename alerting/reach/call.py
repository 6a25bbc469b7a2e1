"""A call: one alarm that calls somebody, from its beginning until somebody answers or it is over. Policy and time are not in it.

What is left of a time is kept as a duration, so that no clock that jumps can lengthen it. See `alerting.reach.machine`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from contracts.alarms import Lane, Priority, State

RANK: Final = {Priority.LOW: 1, Priority.MEDIUM: 2, Priority.HIGH: 3}


class Phase(StrEnum):
    """WAITING: nobody is told yet. COVERED: an alarm of the same episode that was told speaks for it. CALLING: people are told,
    step by step. QUIET: acknowledged or snoozed. OVER: the alarm calls nobody any more."""

    WAITING = "waiting"
    COVERED = "covered"
    CALLING = "calling"
    QUIET = "quiet"
    OVER = "over"


# The condition of the alarm that says that nobody could be told of another.
NOBODY_REACHED: Final = "nobody_reached"
RUNNING: Final = (Phase.WAITING, Phase.COVERED, Phase.CALLING, Phase.QUIET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A person who is told `in_ms` from now, or with the next step: their quiet hours go on. `why` they are told."""

    person: str
    why: str
    in_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`number` counts how often the alarm began to call anew: raised, released, worsened. `step`: the newest step done, -1 none.
    `reminder` counts what was told after that step, which belongs to it. `wait_ms`, `step_ms`, `remind_ms`: until it is told,
    until the next step, until the next reminder; None: not. `told`: a notice was written in this call. `unreached`: nobody could
    be told, and no step is left. `delayed`: a flood has put off its first telling. `state`, `snoozed`, `assigned_to` are the
    alarm's."""

    alarm_id: str
    patient: str
    lane: Lane
    condition: str
    priority: Priority
    state: State
    text: str
    number: int = 1
    phase: Phase = Phase.WAITING
    episode: str | None = None
    snoozed: bool = False
    assigned_to: str | None = None
    worse: bool = False
    step: int = -1
    reminder: int = 0
    wait_ms: int | None = 0
    step_ms: int | None = None
    remind_ms: int | None = None
    held: tuple[Held, ...] = ()
    told: bool = False
    unreached: bool = False
    delayed: bool = False

    @property
    def due_ms(self) -> int | None:
        """From when on something is to be done, if nothing happens before; None: nothing. Not negative."""
        match self.phase:
            case Phase.WAITING:
                times = [self.wait_ms]
            case Phase.CALLING:
                times = [self.step_ms, self.remind_ms, *(held.in_ms for held in self.held)]
            case _:
                times = []
        known = [ms for ms in times if ms is not None]
        return max(min(known), 0) if known else None

    def aged(self, elapsed_ms: int) -> Call:
        """The same after `elapsed_ms` in which nothing happened."""

        def left(ms: int | None) -> int | None:
            return None if ms is None else ms - elapsed_ms

        held = tuple(replace(one, in_ms=one.in_ms - elapsed_ms) for one in self.held)
        return replace(
            self, wait_ms=left(self.wait_ms), step_ms=left(self.step_ms), remind_ms=left(self.remind_ms), held=held
        )


def cover_of(call: Call, others: tuple[Call, ...]) -> str | None:
    """The alarm that speaks for `call` among the `others` of its episode: more urgent, or as urgent and told before. None: none.

    What has ended unseen (latched) leaves the word to what goes on, and of several such one speaks.
    """
    speaking = [other for other in others if other.alarm_id != call.alarm_id and _speaks_for(other, call)]
    return max(speaking, key=lambda o: (RANK[o.priority], o.alarm_id)).alarm_id if speaking else None


def _speaks_for(other: Call, call: Call) -> bool:
    if other.phase is not Phase.CALLING or not other.told or other.unreached:
        return False
    theirs, mine = RANK[other.priority], RANK[call.priority]
    if other.state is State.ACTIVE:
        has_the_word = call.phase is Phase.CALLING and call.state is State.ACTIVE
        return theirs > mine if has_the_word else theirs >= mine
    return call.state is State.LATCHED and (theirs, other.alarm_id) > (mine, call.alarm_id)
