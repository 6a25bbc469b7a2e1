"""The HTTP server: uvicorn, with WebSockets that can be cut and a stop that tells viewers why."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from api.live import Hub
from api.live_schema import MAX_MESSAGE_BYTES
from api.viewer import ABORT

# What the kernel may hold for one viewer. Beyond it the viewer is slow and we know it; more would only hide old values.
SEND_BUFFER_BYTES: Final = 256 * 1024
PING_S: Final = 20.0
STOP_S: Final = 5
# Pings and pieces of messages never reach the application, which bounds whole messages: at once, and a second.
BURST_FRAMES: Final = 400
FRAMES_PER_S: Final = 50
_POLICY: Final = 1008
_BITE_BYTES: Final = 4096  # taken apart before it is looked at whether they are too many: some milliseconds


class LiveProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, whose application may also cut the connection of a peer that takes nothing any more, and that ends the
    connection of one that floods it with what no application hears of."""

    _allowance: float = BURST_FRAMES
    _allowed_at: float = 0.0
    _flooded: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _BITE_BYTES):
            if self._flooded:
                return  # the application closes the connection; what still comes is not even taken apart
            super().data_received(data[start : start + _BITE_BYTES])
            self._flooded = self.queue.qsize() > BURST_FRAMES

    def handle_ping(self) -> None:
        if self._allows():
            super().handle_ping()

    def handle_cont(self, event: Frame) -> None:
        if self._allows():
            super().handle_cont(event)

    def _allows(self) -> bool:
        if self.close_sent:
            return False
        now = self.loop.time()
        self._allowance = min(BURST_FRAMES, self._allowance + (now - self._allowed_at) * FRAMES_PER_S) - 1
        self._allowed_at = now
        if self._allowance < 0:
            self.conn.fail(_POLICY, "too many frames")  # what comes after it is not even taken apart
            self.handle_parser_exception()
            return False
        return True

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
