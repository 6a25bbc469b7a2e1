"""Brings back what people have made quiet when its time is over. Every node does, and SQL lets one of them win.

The ends stand in SQL, so nothing is lost with a process; nothing here depends on the stream or on Kafka.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from api.stores import SqlStores
from contracts.alarms import AlarmEvent
from contracts.errors import VigilError
from infra.runtime.clock import Clock
from infra.runtime.logs import get_logger
from infra.runtime.sql.people_time import Deadlines

LOOK_S: Final = 1.0
_log = get_logger("api.people_time")


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
        told: str | None = None
        while True:
            try:
                await self.look()
                trouble = None
            except VigilError as error:
                trouble = error.message
            if trouble != told:
                told = trouble
                if trouble is not None:
                    _log.warning("acknowledgements and snoozes are not ended", reason=trouble)
                else:
                    _log.info("acknowledgements and snoozes are ended again")
            await asyncio.sleep(LOOK_S)

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
