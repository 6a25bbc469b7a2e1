"""The parts of one gateway, put together, and its life: start, tick, drain, end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contracts.errors import Fatal
from contracts.topics import READINGS
from infra.runtime.clock import Clock
from infra.runtime.health import Health
from infra.runtime.logs import get_logger
from infra.runtime.metrics import Metrics
from producers.gateway.availability import Availability
from producers.gateway.batching import GATHER_S, Batcher
from producers.gateway.delivery import PATIENCE_S, Delivery, Sender
from producers.gateway.posting import ReadingsEndpoint
from producers.gateway.steady_clock import SteadyClock
from producers.gateway.stream import StreamEndpoint
from producers.gateway.ticks import Ticker

# Long enough for a broker that comes back, short enough for whoever waits for this process to end.
_LAST_WRITES_S: Final = 3.0
_LAST_ANSWERS_S: Final = 3.0

_log = get_logger("producers.gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a gateway is made of. `config_version` is called every second and must not wait for anything.

    `on_fatal` is told of an error after which this process must end.
    """

    sender: Sender
    clock: Clock
    metrics: Metrics
    health: Health
    config_version: Callable[[], int]
    on_fatal: Callable[[str], None]
    partitions: int = READINGS.partitions
    gather_s: float = GATHER_S
    patience_s: float = PATIENCE_S


class Gateway:
    """One gateway. Made anywhere; `start` and everything after it belong to one event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        clock = SteadyClock(parts.clock, parts.metrics)
        self._availability = Availability(parts.partitions)
        self._delivery = delivery = Delivery(
            parts.sender, self._availability, patience_s=parts.patience_s, on_fatal=self._kafka_refuses
        )
        self.batcher: Final = Batcher(
            delivery, clock=clock, metrics=parts.metrics, partitions=parts.partitions, gather_s=parts.gather_s
        )
        self.readings: Final = ReadingsEndpoint(self.batcher, parts.metrics, parts.clock)
        self.stream: Final = StreamEndpoint(self.batcher)
        self._ticker = Ticker(
            delivery,
            clock=clock,
            config_version=parts.config_version,
            before_tick=self.batcher.flush,
            partitions=parts.partitions,
        )
        self._ticking: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def health(self) -> Health:
        """What this gateway says of itself."""
        return self._parts.health

    @property
    def metrics(self) -> Metrics:
        """The metrics of this process."""
        return self._parts.metrics

    def start(self) -> None:
        """Begin to write ticks."""
        self._ticking = asyncio.create_task(self._ticker.run(self.report), name="ticks")
        self._ticking.add_done_callback(self._ticks_ended)

    def report(self) -> None:
        """Say how things stand; called after every tick."""
        health = self._parts.health
        health.beat()
        confirmed = self._availability.ready(asyncio.get_running_loop().time())
        health.check("kafka", confirmed)
        if self._stopping:
            health.say("stopping", ready=False)
        elif self._availability.missing:
            health.say("kafka away", ready=False)
        else:
            health.say("ready" if confirmed else "starting", ready=confirmed)
        self._parts.metrics.set("vigil_ready", int(health.ready))

    async def drain(self) -> None:
        """Read nothing more from the streams and wait until their answers are out, a few seconds at most."""
        self._stopping = True
        self.report()
        await self.stream.stop(_LAST_ANSWERS_S)

    async def close(self) -> None:
        """Write what is left, and end."""
        self._stopping = True
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.wait({self._ticking})
        await self.batcher.stop(_LAST_WRITES_S)

    def _kafka_refuses(self, error: Fatal) -> None:
        _log.error("kafka refuses us", error=error.message, cause=error.cause)
        self._parts.on_fatal(str(error))

    def _ticks_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        kind = type(task.exception()).__name__
        _log.error("ticks ended", error=kind)
        self._parts.on_fatal(f"The gateway stopped writing ticks ({kind}).")
