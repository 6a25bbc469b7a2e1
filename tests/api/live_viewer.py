"""Viewers of a real server over a real socket: one that keeps and checks every frame, and one that takes nothing."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.api.conftest import Live
from tests.api.test_asyncapi import check_frame
from tests.api.test_ward import strict_json


class Viewer:
    """A client that keeps every frame and checks the numbers."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.frames: list[dict[str, Any]] = []

    async def next(self, limit_s: float = 10.0) -> dict[str, Any]:
        text = await asyncio.wait_for(self.connection.recv(), limit_s)
        assert isinstance(text, str)
        frame: dict[str, Any] = strict_json(text)
        check_frame(frame)
        self.frames.append(frame)
        assert frame["seq"] == len(self.frames), "numbers without gaps"
        return frame

    async def next_of(self, kind: str, limit_s: float = 10.0) -> dict[str, Any]:
        async with asyncio.timeout(limit_s):
            while True:
                frame = await self.next(limit_s)
                if frame["type"] == kind:
                    return frame

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def close_code(self, limit_s: float = 15.0) -> int:
        """Read to the end; the code that the server gave."""
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    await self.connection.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


@asynccontextmanager
async def viewing(live: Live, **options: Any) -> AsyncIterator[Viewer]:
    async with connect(
        live.ws, subprotocols=[Subprotocol("vigil.v1")], compression=None, max_size=None, proxy=None, **options
    ) as ws:
        yield Viewer(ws)


@asynccontextmanager
async def viewing_slowly(live: Live) -> AsyncIterator[Viewer]:
    """A client that takes nothing from the network unless it is asked for the next frame."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", live.settings.api_port))
    async with viewing(live, sock=raw, max_queue=1, ping_interval=None) as viewer:
        yield viewer


def values(frame: dict[str, Any]) -> dict[tuple[str, str], float | None]:
    return {(p["id"], m): v["value"] for p in frame["patients"] for m, v in p["latest"].items()}
