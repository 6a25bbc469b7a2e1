"""WebSocket `/v1/stream`: one message in, one answer out, in the order of the messages.

A sender may send on without waiting for answers, up to a bound; beyond it the gateway stops reading until answers are
out, and TCP slows the sender down. A message that cannot be taken is answered with `{"error": problem}`, and the
connection stays: the next message may be fine.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from infra.runtime.logs import get_logger
from producers.gateway.batching import Batcher, Outcome
from producers.gateway.media import headers_of
from producers.gateway.origins import origin_allowed
from producers.gateway.problems import MEDIA_TYPE, Problem

PATH: Final = "/v1/stream"
MAX_UNANSWERED: Final = 1_024
_SERVICE_RESTART: Final = 1012
_FOREIGN: Final = Problem(status=403, kind="foreign-page", detail="Pages of other sites may not send readings.")

_log = get_logger("producers.gateway.stream")


class StreamEndpoint:
    """The ASGI application of this one path. `stop` ends every stream when its answers are out."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher
        self._streams: set[_Stream] = set()
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        headers = headers_of(scope["headers"])
        if not origin_allowed(headers.origin, headers.host):
            await _deny(send, _FOREIGN)
            return
        await send({"type": "websocket.accept"})
        stream = _Stream(self._batcher, receive, send)
        self._streams.add(stream)
        self._none_open.clear()
        if self._stopping:
            stream.stop()
        try:
            await stream.run()
        finally:
            self._streams.discard(stream)
            if not self._streams:
                self._none_open.set()

    async def stop(self, timeout_s: float) -> None:
        """Read no further message; what was read is still answered, then each stream is closed (1012). Returns when all
        are, or after `timeout_s`."""
        self._stopping = True
        for stream in self._streams:
            stream.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._none_open.wait()


class _Stream:
    """One connection: a reader that hands messages on, and a writer that answers them in turn."""

    def __init__(self, batcher: Batcher, receive: Receive, send: Send) -> None:
        self._batcher = batcher
        self._receive = receive
        self._send = send
        self._unanswered: deque[asyncio.Future[Outcome]] = deque()
        self._wake = asyncio.Event()  # for the writer: there is something to answer, or an end
        self._room = asyncio.Event()  # for the reader: another message may be taken
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True
        self._room.set()
        self._wake.set()

    async def run(self) -> None:
        """Until either side ends the connection. Messages without an answer will be sent again."""
        tasks = {asyncio.create_task(self._read()), asyncio.create_task(self._write())}
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in ended:
            error = task.exception()
            if error is not None and not isinstance(error, OSError):  # OSError: the sender hung up
                _log.error("stream ended by a defect", error=type(error).__name__)

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                return
            if self._stopping:
                continue
            while len(self._unanswered) >= MAX_UNANSWERED and not self._stopping:
                self._room.clear()
                await self._room.wait()
            self._unanswered.append(self._submit(message))
            self._wake.set()

    def _submit(self, message: Message) -> asyncio.Future[Outcome]:
        text = message.get("text")
        if text is not None:
            return self._batcher.submit(text.encode("utf-8", "surrogatepass"), "json")
        return self._batcher.submit(bytes(message.get("bytes") or b""), "arrow")

    async def _write(self) -> None:
        while True:
            while not self._unanswered:
                if self._stopping:
                    await self._send({"type": "websocket.close", "code": _SERVICE_RESTART})
                    return
                self._wake.clear()
                await self._wake.wait()
            outcome = await self._unanswered[0]
            self._unanswered.popleft()
            self._room.set()
            text = outcome.error() if isinstance(outcome, Problem) else outcome.body().decode()
            await self._send({"type": "websocket.send", "text": text})


async def _deny(send: Send, problem: Problem) -> None:
    """Refuse the handshake with an ordinary HTTP answer."""
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    await send({"type": "websocket.http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": problem.body(), "more_body": False})
