"""The HTTP server: uvicorn, with WebSockets that can be cut and a stop that tells viewers why."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api.live import Hub
from api.viewer import ABORT

MAX_MESSAGE_BYTES: Final = 64 * 1024
# What the kernel may hold for one viewer. Beyond it the viewer is slow and we know it; more would only hide old values.
SEND_BUFFER_BYTES: Final = 256 * 1024
PING_S: Final = 20.0
STOP_S: Final = 5


class LiveProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, whose application may also cut the connection of a peer that takes nothing any more."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    async def run_asgi(self) -> None:
        self.scope["extensions"][ABORT] = {"call": self.transport.abort}
        await super().run_asgi()


class Server(uvicorn.Server):
    """A server that says goodbye to the viewers of `hub()` before it closes its connections."""

    def __init__(self, config: uvicorn.Config, hub: Callable[[], Hub]) -> None:
        super().__init__(config)
        self._hub = hub

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn would end the process with the signal once more; a stop that was asked for and done is a success."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._hub().close()
        await super().shutdown(sockets)


def configuration(
    app: object, *, host: str, port: int, tls: tuple[str, str] | None = None
) -> uvicorn.Config:
    """uvicorn's settings for this application. `tls`: files of a certificate chain and its key. Access logs are off: paths hold
    patients' keys."""
    certificate, key = tls or (None, None)
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        ws=LiveProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,
        http="h11",
        ssl_certfile=certificate,
        ssl_keyfile=key,
        proxy_headers=False,
        server_header=False,
        log_config=None,
        access_log=False,
        backlog=2048,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_S,
        h11_max_incomplete_event_size=64 * 1024,
    )
