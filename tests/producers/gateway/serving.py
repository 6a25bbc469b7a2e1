"""A real server on a real port around a gateway, in the test's own event loop."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from producers.gateway.app import create_app
from producers.gateway.gateway import Gateway
from producers.gateway.server import GatewayServer, configuration


@dataclass(frozen=True)
class Served:
    """Where the server listens, and how to make it end."""

    port: int
    server: GatewayServer
    running: asyncio.Task[None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/stream"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A bare connection."""
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def served(gateway: Gateway) -> AsyncIterator[Served]:
    """Serve until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = GatewayServer(configuration(create_app(gateway), host="127.0.0.1", port=port), gateway)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield Served(port, server, running)
        finally:
            server.should_exit = True
            async with asyncio.timeout(20):
                await running


@asynccontextmanager
async def client_of(gateway: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that talks to the application without a network."""
    app = create_app(gateway)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1:8601") as client,
    ):
        yield client


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for something that another task brings about."""
    async with asyncio.timeout(timeout_s):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], dict[str, Any]]:
    """One HTTP answer with a JSON body from a bare connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), headers, json.loads(body)
