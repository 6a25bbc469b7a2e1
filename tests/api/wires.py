"""Both ways to hold a live connection in a test: straight to the application, or over a real socket to a real server."""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.api.conftest import until


class Feed(ABC):
    """A live connection that keeps what it is told. `status`: that of a refused handshake; `code`: that of the close."""

    def __init__(self) -> None:
        self.texts: list[str] = []  # of the frames
        self.arrived_ms: list[float] = []  # of each frame, by the clock of this machine
        self.refusal = ""  # what was said with a refusal
        self.status: int | None = None
        self.code: int | None = None
        self.closed_ms = 0.0

    @abstractmethod
    def say(self, **message: Any) -> None: ...

    @abstractmethod
    async def leave(self) -> None: ...

    def take(self, text: str) -> None:
        self.texts.append(text)
        self.arrived_ms.append(time.time() * 1000)

    def ended(self, code: int) -> None:
        self.code, self.closed_ms = code, time.time() * 1000

    def frames(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in map(json.loads, self.texts) if frame["type"] == kind]

    async def first(self, kind: str, number: int = 1) -> dict[str, Any]:
        await until(lambda: len(self.frames(kind)) >= number, f"frame {number} of type {kind}")
        return self.frames(kind)[number - 1]

    async def refused(self) -> int | None:
        """The status with which the handshake was refused; None: it was not."""
        await until(lambda: self.texts or self.status is not None, "an answer to the handshake")
        return self.status

    async def closed(self, limit_s: float = 5.0) -> int:
        """The close code."""
        await until(lambda: self.code is not None, "the connection to be closed", limit_s)
        assert self.code is not None
        return self.code

    @property
    def text(self) -> str:
        """Everything that was sent."""
        return "".join(self.texts) + self.refusal


class Wire(Feed):
    """Without a network: what is said goes straight to the application, what it sends is kept."""

    def __init__(self, app: ASGIApp, *, subprotocols: tuple[str, ...] = ("vigil.v1",), **headers: str) -> None:
        super().__init__()
        self._to: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        sent_headers = {"host": "127.0.0.1:8600", **headers}
        scope = {
            "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws", "path": "/api/v1/live",
            "raw_path": b"/api/v1/live", "query_string": b"", "root_path": "", "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 8600),
            "headers": [(k.encode(), v.encode()) for k, v in sent_headers.items()], "subprotocols": list(subprotocols),
            "extensions": {"websocket.http.response": {}},
        }  # fmt: skip
        self._to.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.ensure_future(app(scope, self._to.get, self._sent))

    async def _sent(self, message: Any) -> None:
        self.sent.append(dict(message))
        match message["type"]:
            case "websocket.send":
                self.take(message["text"])
            case "websocket.close":
                self.ended(int(message["code"]))
            case "websocket.http.response.start":
                self.status = int(message["status"])
            case "websocket.http.response.body":
                self.refusal += str(message.get("body", ""))

    def say(self, **message: Any) -> None:
        self._to.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    async def leave(self) -> None:
        self._to.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait([self._task])


class Listener(Feed):
    """Over a real socket to the API at `url` (http). `path`: of the feed, or of what an attacker takes for it."""

    def __init__(
        self, url: str, *, subprotocols: Sequence[str] = ("vigil.v1",), path: str = "/api/v1/live", **headers: str
    ) -> None:
        super().__init__()
        self._address = f"ws{url.removeprefix('http')}{path}"
        self._subprotocols, self._headers = [Subprotocol(name) for name in subprotocols], headers
        self._words: asyncio.Queue[str] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._follow())

    @classmethod
    def by_ticket(cls, url: str, ticket: str) -> Listener:
        """As a page does it."""
        return cls(url, subprotocols=("vigil.v1", f"vigil.ticket.{ticket}"))

    def say(self, **message: Any) -> None:
        self.say_text(json.dumps(message))

    def say_text(self, text: str) -> None:
        self._words.put_nowait(text)

    async def _follow(self) -> None:
        try:
            async with connect(
                self._address, subprotocols=self._subprotocols, additional_headers=self._headers, compression=None,
                proxy=None, max_size=None, close_timeout=1,
            ) as socket:  # fmt: skip
                speaking = asyncio.ensure_future(self._speak(socket.send))
                try:
                    async for text in socket:
                        self.take(str(text))
                finally:
                    speaking.cancel()
            self.ended(socket.close_code or 1006)
        except InvalidStatus as refused:
            self.status = refused.response.status_code
            self.refusal = str(refused.response.body or b"")
        except ConnectionClosed as closed:
            self.ended(closed.rcvd.code if closed.rcvd else 1006)

    async def _speak(self, send: Any) -> None:
        while True:
            await send(await self._words.get())

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
