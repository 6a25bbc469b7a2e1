"""The two loops of the process: who is to be told, and the sending. Neither waits for the other."""

from __future__ import annotations

import asyncio
from typing import Final

from alerting.notifiers.sender import Sender
from alerting.reach.escalator import Escalator
from contracts.errors import Fatal, VigilError
from infra.runtime.health import Health
from infra.runtime.logs import get_logger
from infra.runtime.metrics import Metrics

# How late a step may be because nobody looked.
LOOK_S: Final = 0.25
AGAIN_S: Final = 1.0

_log = get_logger("alerting.reach")


class Room:
    """Runs both until told to stop. An error that is none of the database's ends the process; the next one begins from SQL."""

    def __init__(self, escalator: Escalator, sender: Sender, metrics: Metrics, health: Health) -> None:
        self._escalator, self._sender, self._metrics, self._health = escalator, sender, metrics, health
        self._looked = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send(stop))
                tasks.create_task(self._escalate(stop))
        finally:
            self._health.say("stopping", ready=False)

    async def _send(self, stop: asyncio.Event) -> None:
        """From the first look on: until then the tables may not be there yet."""
        await self._looked.wait()
        await self._sender.run(stop)

    async def _escalate(self, stop: asyncio.Event) -> None:
        told: str | None = None
        while not stop.is_set():
            try:
                if await asyncio.to_thread(self._escalator.look):
                    self._sender.wake()
                trouble = None
                self._looked.set()
            except Fatal:
                raise
            except VigilError as error:
                trouble = error.message
            if trouble != told:
                told = trouble
                if trouble is None:
                    _log.info("calls are followed again")
                else:
                    _log.error("nobody is told of alarms: the database does not answer", reason=trouble)
            self._health.beat()
            self._health.check("database", trouble is None)
            self._health.say("running", ready=True)
            self._metrics.set("vigil_ready", float(self._health.ready))
            self._metrics.set("vigil_calls_running", self._escalator.calling)
            self._metrics.set("vigil_calls_unreached", self._escalator.unreached)
            self._metrics.set("vigil_calls_delayed", self._escalator.delayed)
            try:
                await asyncio.wait_for(stop.wait(), LOOK_S if trouble is None else AGAIN_S)
            except TimeoutError:
                continue
        self._looked.set()  # nobody waits for a look any more
