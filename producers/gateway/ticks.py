"""The tick, twice a second: time enters the log here.

A tick is written to each partition behind everything that was received before it, by the same producer. It is also the
probe that finds out whether a partition takes writes again. Several gateways do no harm: the highest tick counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from contracts.ticks import Tick, encode_tick
from contracts.topics import CONTENT_TYPE, READINGS, TICK
from infra.runtime.records import Output
from producers.gateway.delivery import Delivery
from producers.gateway.steady_clock import SteadyClock

# Values are shown with the tick: half of this is what they wait for it.
PERIOD_S: Final = 0.5
_HEADERS: Final = ((CONTENT_TYPE, TICK.encode()),)


class Ticker:
    """Writes ticks. `before_tick` writes out what was received so far; `config_version` gives the rules in force."""

    def __init__(
        self,
        delivery: Delivery,
        *,
        clock: SteadyClock,
        config_version: Callable[[], int],
        before_tick: Callable[[], None],
        partitions: int = READINGS.partitions,
    ) -> None:
        self._delivery = delivery
        self._clock = clock
        self._config_version = config_version
        self._before_tick = before_tick
        self._pending = [False] * partitions

    def tick(self) -> None:
        """Write one tick to every partition, except where the one before is still under way."""
        self._before_tick()
        self._clock.follow()
        value = encode_tick(Tick(tick_ms=self._clock.now_ms(), config_version=self._config_version()))
        for partition, pending in enumerate(self._pending):
            if not pending:
                self._write(partition, value)

    def _write(self, partition: int, value: bytes) -> None:
        def settled(_: bool) -> None:
            self._pending[partition] = False

        self._pending[partition] = True
        output = Output(topic=READINGS.name, partition=partition, value=value, headers=_HEADERS)
        self._delivery.write(partition, [output], settled=settled, late=lambda: None)

    async def run(self, after_tick: Callable[[], None]) -> None:
        """Tick every `PERIOD_S` until cancelled; a time that was slept through is left out, not made up for."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self.tick()
            after_tick()
            due = max(due + PERIOD_S, loop.time())
            await asyncio.sleep(due - loop.time())
