"""The life cycle of an alarm as one pure function, used by every writer: the stream, any API node, later the escalator.

Writers race; SQL decides by compare-and-set on the alarm's version, and the loser calls `transition` again on what it
then finds. A refused change says why.
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts.alarms import Change, Priority, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The change is legal and leads to `state`."""

    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The change is not legal now; `reason` is for the person or the log."""

    reason: str


def transition(state: State | None, priority: Priority, change: Change) -> Moved | Refused:
    """What `change` does to an alarm in `state` (None: it does not exist yet).

    High priority latches: when its condition ends unseen, it stays until a person acknowledges it.
    """
    if state is None:
        return Moved(state=State.ACTIVE) if change is Change.RAISED else Refused(reason="there is no such alarm")
    if change is Change.RAISED:
        return Refused(reason="the alarm exists already")
    if change is Change.LABELLED:
        return Moved(state=state)
    if state is State.RESOLVED:
        return Refused(reason="the alarm is resolved")
    match change:
        case Change.WORSENED:
            return Moved(state=State.ACTIVE)
        case Change.CLEARED if state is State.ACTIVE and priority is Priority.HIGH:
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
        case _:
            return Moved(state=state)
