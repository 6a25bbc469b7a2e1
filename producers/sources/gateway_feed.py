"""Readings to the gateway in real time, as devices would send them: spread over the second, stored and sent again while
the gateway or Kafka is away. Nothing is given up before the queue is full or the run is over.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import httpx2
import numpy as np

from contracts.errors import VigilError
from contracts.readings import encode_readings
from contracts.topics import ARROW_FRAME
from infra.runtime.logs import get_logger
from producers.sources.source import Say, Source, Tally
from producers.sources.store_and_forward import Batch, Waiting, joined, retry_after_s, slices, wait_s

log = get_logger(__name__)

SLICES: Final = 10
MOST_WAITING_ROWS: Final = 1_000_000
MOST_ROWS_PER_REQUEST: Final = 20_000
TIMEOUT_S: Final = 5.0
LAST_TRY_S: Final = 15.0
SAY_EVERY_S: Final = 5.0
_OK: Final = 200
_TOO_LARGE: Final = 413
# An address that is wrong stays wrong; everything not named here is the gateway being away for a moment.
_PERMANENT: Final = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405})
_REFUSED: Final = frozenset({400, _TOO_LARGE, 415, 422})


class GatewayFeed:
    """Posts seconds of a source to `POST /v1/readings` of the gateway at `url`. `transport` replaces the network."""

    def __init__(
        self,
        url: str,
        *,
        seed: int,
        most_waiting_rows: int = MOST_WAITING_ROWS,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url.rstrip("/") + "/v1/readings"
        self._rng = np.random.default_rng([seed, 5])
        self._waiting = Waiting(most_waiting_rows)
        self._transport = transport
        self._more = asyncio.Event()
        self._most_rows = MOST_ROWS_PER_REQUEST
        self._finished = False
        self._tries = 0
        self._requests = 0
        self.tally = Tally()

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return self._requests

    async def run(
        self,
        source: Source,
        *,
        seconds: int | None,
        began: float,
        stop: threading.Event,
        say: Say,
        after_second: Callable[[], None] = lambda: None,
        last_try_s: float = LAST_TRY_S,
    ) -> None:
        """Send `seconds` (None: until `stop`) in real time; `began` on the monotonic clock is the source's start. Then wait
        up to `last_try_s` for what is still waiting. Raises `VigilError` when the gateway will never take it."""
        client = httpx2.AsyncClient(timeout=TIMEOUT_S, transport=self._transport)
        try:
            async with asyncio.TaskGroup() as group:
                sender = group.create_task(self._send_all(client))
                await self._measure(source, seconds, began, stop, say, after_second)
                self._finished = True
                self._more.set()
                _, pending = await asyncio.wait({sender}, timeout=last_try_s)
                if pending:
                    sender.cancel()
        except ExceptionGroup as failures:
            # One task failing is what happened; the group is only how asyncio tells.
            raise failures.exceptions[0] from None
        finally:
            await client.aclose()
            self.tally.dropped = self._waiting.dropped + self._waiting.rows

    async def _measure(
        self,
        source: Source,
        seconds: int | None,
        began: float,
        stop: threading.Event,
        say: Say,
        after_second: Callable[[], None],
    ) -> None:
        """Put each part of each second into the queue once it is over."""
        said = time.monotonic()
        done = 0
        while (seconds is None or done < seconds) and not stop.is_set():
            for end_ms, readings in slices(source.step(), SLICES):
                due = began + done + end_ms / 1000
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self._waiting.put(Batch(readings, due))
                self.tally.sent += len(readings)
                self.tally.dropped = self._waiting.dropped
                self._more.set()
            done += 1
            self.tally.seconds = done
            after_second()
            if time.monotonic() - said >= SAY_EVERY_S:
                said = time.monotonic()
                say(self.tally.line())
            # A second in which nothing was sent still takes a second.
            await asyncio.sleep(max(0.0, began + done - time.monotonic()))

    async def _send_all(self, client: httpx2.AsyncClient) -> None:
        """One request at a time, oldest readings first, until all is sent and no more will come."""
        while self._waiting or not self._finished:
            if not self._waiting:
                self._more.clear()
                if self._finished:
                    return
                await self._more.wait()
                continue
            batches = self._waiting.oldest(self._most_rows)
            pause = await self._send(client, batches)
            if pause is None:
                self._waiting.done(batches)
                self.tally.max_lag_s = max(self.tally.max_lag_s, time.monotonic() - batches[0].due_s)
            else:
                await asyncio.sleep(pause)

    async def _send(self, client: httpx2.AsyncClient, batches: list[Batch]) -> float | None:
        """None when the batches are settled, else how long to wait before trying again."""
        self._requests += 1
        try:
            response = await client.post(
                self._url, content=encode_readings(joined(batches)), headers={"content-type": ARROW_FRAME}
            )
        except httpx2.TransportError as error:
            return self._away(type(error).__name__, None)
        if response.status_code == _OK:
            self._answered(response)
            return None
        if response.status_code in _PERMANENT:
            raise VigilError(
                f"The gateway at {self._url} answered {response.status_code}.",
                cause="the address is not a gateway's, or it does not let this sender in",
                fix="check --gateway and `vigil status`",
            )
        if response.status_code in _REFUSED:
            return self._refused(batches, response.status_code)
        return self._away(str(response.status_code), response.headers.get("retry-after"))

    def _refused(self, batches: list[Batch], status: int) -> float | None:
        """Nothing of the request could be taken. What is too large is sent in smaller requests; the rest would be refused
        again and is settled as rejected."""
        rows = sum(len(b.readings) for b in batches)
        if status == _TOO_LARGE and len(batches) > 1:
            self._most_rows = max(1, rows // 2)
            return 0.0
        self.tally.rejected += rows
        reason = f"status {status}"
        self.tally.reasons[reason] = self.tally.reasons.get(reason, 0) + rows
        log.error("gateway refused a whole batch", status=status, rows=rows)
        return None

    def _answered(self, response: httpx2.Response) -> None:
        if self._tries:
            log.info("gateway is back", after_tries=self._tries, waiting_rows=self._waiting.rows)
        self._tries = 0
        answer = _document(response)
        self.tally.accepted += answer["accepted"]
        self.tally.duplicates += answer["duplicates"]
        for rejection in answer["rejected"]:
            field = str(rejection["field"])
            self.tally.rejected += 1
            self.tally.reasons[field] = self.tally.reasons.get(field, 0) + 1

    def _away(self, reason: str, retry_after: str | None) -> float:
        self._tries += 1
        if self._tries == 1:
            log.warning("gateway does not take readings, storing them", reason=reason)
        return wait_s(self._tries, retry_after_s(retry_after, time.time()), self._rng)


def _document(response: httpx2.Response) -> dict[str, Any]:
    try:
        answer = response.json()
        if isinstance(answer, dict) and {"accepted", "duplicates", "rejected"} <= answer.keys():
            return answer
    except json.JSONDecodeError:
        answer = None
    raise VigilError(
        f"What answers at {response.url} is not a Vigil gateway.",
        cause="another program listens on this port",
        fix="check --gateway and `vigil status`",
    )

