"""The HTTP server: uvicorn, impatient with slow senders and polite when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from producers.gateway.gateway import Gateway
from producers.gateway.limits import MAX_BODY_BYTES

HEADER_TIMEOUT_S: Final = 10.0
KEEP_ALIVE_S: Final = 75
PING_S: Final = 20.0
STOP_S: Final = 5
MAX_CONNECTIONS: Final = 10_000


class ImpatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, which also closes connections whose request headers do not come to an end."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_deadline()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._set_deadline()

    def on_headers_complete(self) -> None:
        self._clear_deadline()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        super().connection_lost(exc)

    def _set_deadline(self) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(HEADER_TIMEOUT_S, self.transport.close)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class GatewayServer(uvicorn.Server):
    """A server that lets its streams finish first."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await self._gateway.drain()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals end the server in good order; uvicorn would raise them again afterwards and spoil the exit status."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def configuration(app: object, *, host: str, port: int) -> uvicorn.Config:
    """uvicorn's settings for the gateway. No access log: it has one line per reading and tells nothing."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        http=ImpatientProtocol,
        ws="websockets-sansio",
        ws_max_size=MAX_BODY_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,
        proxy_headers=False,
        server_header=False,
        log_config=None,
        access_log=False,
        backlog=2048,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
