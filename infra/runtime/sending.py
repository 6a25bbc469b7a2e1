"""Sending from asyncio: a whole batch of outputs, one wait, and either all of them are durable or an error says not."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message

from contracts.errors import Retryable
from infra.runtime.kafka_clients import as_vigil_error, producer
from infra.runtime.records import Output
from infra.runtime.settings import Settings

_POLL_S: Final = 0.5
_FULL_WAIT_S: Final = 0.005


class _Batch:
    """Counts the delivery reports of one batch; they arrive on the sender's thread."""

    def __init__(self, size: int, loop: asyncio.AbstractEventLoop) -> None:
        self.done: asyncio.Future[KafkaError | None] = loop.create_future()
        self._left = size
        self._error: KafkaError | None = None
        self._loop = loop

    def report(self, error: KafkaError | None, _: Message) -> None:
        self._left -= 1
        if error is not None and self._error is None:
            self._error = error
        if self._left == 0:
            try:
                self._loop.call_soon_threadsafe(self._finish)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(self._error)


class AsyncSender:
    """An idempotent producer for event loops: `await send_all(outputs)` returns when Kafka has all of them.

    `options` are those of the client: `AsyncSender(settings, **{"delivery.timeout.ms": 1500})`.
    """

    def __init__(self, settings: Settings, **options: Any) -> None:
        self._settings = settings
        self._producer = producer(settings, **options)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="kafka-sender", daemon=True)
        self._thread.start()

    async def send_all(self, outputs: Sequence[Output], *, deadline_s: float = 32.0) -> None:
        """Return when every output is durable, in order within each partition.

        Raises `Retryable` when that was not confirmed within `deadline_s`: some may have been written, and will be again
        when the caller repeats the batch. `InvalidInput` for one that is too large, `Fatal` when Kafka refuses us.
        """
        if not outputs:
            return
        end = time.monotonic() + deadline_s
        batch = _Batch(len(outputs), asyncio.get_running_loop())
        for output in outputs:
            await self._produce(output, batch, end)
        try:
            async with asyncio.timeout(max(0.0, end - time.monotonic())):
                error = await batch.done
        except TimeoutError:
            raise Retryable("Sending to Kafka was not confirmed in time.", fix="vigil doctor") from None
        if error is not None:
            raise as_vigil_error(error, "Sending to Kafka")

    async def _produce(self, output: Output, batch: _Batch, end: float) -> None:
        while True:
            try:
                self._producer.produce(
                    self._settings.topic(output.topic),
                    value=output.value,
                    key=output.key,
                    partition=output.partition,
                    headers=list(output.headers),
                    on_delivery=batch.report,
                )
            except BufferError:
                if time.monotonic() > end:
                    raise Retryable("The queue to Kafka is full.", cause="the broker is away or too slow") from None
                await asyncio.sleep(_FULL_WAIT_S)
            except KafkaException as error:
                raise as_vigil_error(error, "Sending to Kafka") from error
            else:
                return

    @property
    def queued(self) -> int:
        """Messages and requests on their way."""
        return len(self._producer)

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait for what is on its way, at most `timeout_s`, and end the thread."""
        self._producer.flush(timeout_s)
        self._stopping.set()
        self._thread.join(timeout=_POLL_S + 1.0)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(_POLL_S)
