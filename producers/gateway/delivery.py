"""Writing to Kafka without waiting for it longer than a sender can: every write reports twice at most.

`late` when Kafka has not confirmed after `patience_s`: callers are told to come back. `settled` when the client knows
the outcome, which may be much later; until then the rows take memory and count as under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from contracts.errors import Fatal, VigilError
from infra.runtime.logs import get_logger
from infra.runtime.records import Output
from producers.gateway.availability import Availability

# Every answer within two seconds: this much is left for reading the body and writing the answer.
PATIENCE_S: Final = 1.5

_log = get_logger("producers.gateway.delivery")


class Sender(Protocol):
    """What `infra.runtime.kafka.AsyncSender` does: returns when every output is durable, in order per partition."""

    async def send_all(self, outputs: Sequence[Output]) -> None: ...


class Delivery:
    """Writes to one topic's partitions, and keeps `availability` true to what happens."""

    def __init__(
        self,
        sender: Sender,
        availability: Availability,
        *,
        patience_s: float = PATIENCE_S,
        on_fatal: Callable[[Fatal], None],
    ) -> None:
        self._sender = sender
        self.availability: Final = availability
        self._patience_s = patience_s
        self._on_fatal = on_fatal
        self._under_way: set[asyncio.Task[None]] = set()

    def write(
        self,
        partition: int,
        outputs: Sequence[Output],
        *,
        settled: Callable[[bool], None],
        late: Callable[[], None],
    ) -> None:
        """Start writing `outputs`, all of `partition`. Writes to a partition keep the order of these calls."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._send(partition, outputs, settled))
        self._under_way.add(task)
        timer = loop.call_later(self._patience_s, self._late, partition, late)

        def ended(done: asyncio.Task[None]) -> None:
            timer.cancel()
            self._under_way.discard(done)

        task.add_done_callback(ended)

    async def _send(self, partition: int, outputs: Sequence[Output], settled: Callable[[bool], None]) -> None:
        try:
            await self._sender.send_all(outputs)
        except VigilError as error:
            self._fail(partition, error.message)
            settled(False)
            if isinstance(error, Fatal):
                self._on_fatal(error)
        except asyncio.CancelledError:
            settled(False)
            raise
        except Exception as defect:  # it must not leave callers waiting, nor their rows counted for ever
            _log.error("write failed by a defect", error=type(defect).__name__)
            self._fail(partition, "a defect")
            settled(False)
        else:
            if self.availability.away(partition):
                _log.info("kafka back", partition=partition)
            self.availability.confirmed(partition, asyncio.get_running_loop().time())
            settled(True)

    def _late(self, partition: int, late: Callable[[], None]) -> None:
        self._fail(partition, "not confirmed in time")
        late()

    def _fail(self, partition: int, why: str) -> None:
        if not self.availability.away(partition):
            _log.warning("kafka away", partition=partition, why=why)
        self.availability.failed(partition)

    async def finish(self, timeout_s: float) -> bool:
        """Wait for everything under way; False when some of it was still unconfirmed after `timeout_s`."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=timeout_s)
        for task in self._under_way:
            task.cancel()
        return not self._under_way
