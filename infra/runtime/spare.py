"""A room to go back to: its state before a batch, kept while the records that fail our own code are looked for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from infra.runtime.plan import Plan, Snapshots
from infra.runtime.records import Record, Room


class Spare:
    """The state of `room` as it is now; `room` itself may be spoilt afterwards.

    By its own snapshot where the plan has snapshots, else as a copy: such a room is plain columns. What cannot be kept either
    way raises whatever it raises; the log can always be read again instead.
    """

    def __init__(self, plan: Plan, partition: int, room: Room) -> None:
        self._fresh: Callable[[], Room]
        if isinstance(plan.recovery, Snapshots):
            state = room.snapshot()

            def restored() -> Room:
                fresh = plan.make_room(partition)
                fresh.restore(state)
                return fresh

            self._fresh = restored
        else:
            kept = copy.deepcopy(room)
            self._fresh = lambda: copy.deepcopy(kept)

    def after(self, records: Sequence[Record]) -> Room:
        """A room with that state and `records` in it; what follows from them was sent already."""
        room = self._fresh()
        if records:
            room.step(records)
        return room
