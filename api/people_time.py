"""Brings back what people have made quiet when its time is over. Every node does, and SQL lets one of them win.

The ends stand in SQL, so nothing is lost with a process; nothing here depends on the stream or on Kafka.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from api.looking import keep_looking
from api.stores import SqlStores
from contracts.alarms import AlarmEvent
from infra.runtime.clock import Clock
from infra.runtime.sql.people_time import Deadlines

LOOK_S: Final = 1.0


class PeopleTime:
    """The loop. `take` gets each change that was recorded here, to show and to send on."""

    def __init__(
        self, stores: SqlStores, deadlines: Deadlines, clock: Clock, *, take: Callable[[AlarmEvent], None]
    ) -> None:
        self._stores = stores
        self._deadlines = deadlines
        self._clock = clock
        self._take = take

    async def run(self) -> None:
        """Look once a second until cancelled, through every absence of the database."""
        await keep_looking(self.look, LOOK_S, "ending acknowledgements and snoozes")

    async def look(self) -> None:
        """End what is over now."""
        if not self._stores.is_open:  # whoever opens it says so
            return
        quiet = await self._stores.alarms(lambda store: store.quiet_alarms())
        due = self._deadlines.due(quiet, now_ms=self._clock.now_ms(), now_s=self._clock.monotonic_s())
        if not due:
            return
        at_ms = self._clock.now_ms()
        for event in await self._stores.alarms(lambda store: store.end_quiet(due, at_ms=at_ms)):
            self._take(event)
