"""The life cycle of an alarm as one pure function, used by every writer: the stream, any API node, the timers of people.

Writers race; SQL decides by compare-and-set on the alarm's version, and the loser calls `transition` again on what it
then finds. A refused change says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from contracts.alarms import BEGINNINGS, Change, Priority, State

_BORN: Final = MappingProxyType(
    {Change.RAISED: State.ACTIVE, Change.INHIBITED: State.INHIBITED, Change.FOUND: State.RETROSPECTIVE}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The change is legal and leads to `state`."""

    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The change is not legal now; `reason` is for the person or the log."""

    reason: str


def transition(
    state: State | None, priority: Priority, change: Change, *, latches: bool | None = None
) -> Moved | Refused:
    """What `change` does to an alarm in `state` (None, or pending: nobody was told of it yet).

    High priority latches: when its condition ends unseen, it stays until a person acknowledges it; so do others where `latches`
    says so. An inhibited alarm was shown to nobody, so it does not latch. No change leads from an open alarm to silence for good:
    an acknowledgement ends by itself, by a worsening or by the opposite direction, and a snooze is no state at all.
    """
    if state is None or state is State.PENDING:
        born = _BORN.get(change)
        return Moved(state=born) if born is not None else Refused(reason="there is no such alarm")
    if change in BEGINNINGS:
        return Refused(reason="the alarm exists already")
    if change in (Change.LABELLED, Change.NOTED):
        return Moved(state=state)
    match state:
        case State.CLOSED:
            return Refused(reason="the alarm is closed")
        case State.RESOLVED:
            return Moved(state=State.CLOSED) if change is Change.CLOSED else Refused(reason="the alarm is resolved")
        case State.RETROSPECTIVE:
            return _in_the_past(change)
        case State.INHIBITED:
            return _behind_another(change)
    match change:
        case Change.RELEASED:
            return Refused(reason="no other alarm stands for it")
        case Change.CLOSED:
            return Refused(reason="it still calls somebody; resolve it first")
        case Change.WORSENED:
            return Moved(state=State.ACTIVE)
        case Change.CLEARED if state is State.ACTIVE and (latches or priority is Priority.HIGH):
            return Moved(state=State.LATCHED)
        case Change.CLEARED if state is State.LATCHED:
            return Refused(reason="the condition has ended already")
        case Change.CLEARED | Change.RESOLVED:
            return Moved(state=State.RESOLVED)
        case Change.ACKNOWLEDGED if state is State.ACTIVE:
            return Moved(state=State.ACKNOWLEDGED)
        case Change.ACKNOWLEDGED if state is State.LATCHED:
            return Moved(state=State.RESOLVED)
        case Change.ACKNOWLEDGED:
            return Refused(reason="the alarm is acknowledged already")
        case Change.ESCALATED if state is State.LATCHED:
            return Refused(reason="the condition has ended; acknowledge it")
        case Change.ESCALATED:
            return Moved(state=State.ACTIVE)
        case Change.LAPSED if state is not State.ACKNOWLEDGED:
            return Refused(reason="the alarm is not acknowledged")
        case Change.LAPSED:
            return Moved(state=State.ACTIVE)
        case Change.BROKEN if state is State.ACKNOWLEDGED:
            return Moved(state=State.ACTIVE)
        case _:
            return Moved(state=state)


def _in_the_past(change: Change) -> Moved | Refused:
    """A finding may turn out worse, or to have ended, and be reviewed; nobody can act on the past."""
    if change in (Change.WORSENED, Change.CLEARED):
        return Moved(state=State.RETROSPECTIVE)
    if change is Change.CLOSED:
        return Moved(state=State.CLOSED)
    return Refused(reason="it was found in late data and is not active")


def _behind_another(change: Change) -> Moved | Refused:
    match change:
        case Change.RELEASED:
            return Moved(state=State.ACTIVE)
        case Change.CLEARED:
            return Moved(state=State.RESOLVED)
        case Change.WORSENED:
            return Moved(state=State.INHIBITED)
        case _:
            return Refused(reason="another alarm stands for it; see its reason")
