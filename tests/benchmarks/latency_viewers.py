"""The smallest viewers of the live feed: they take frames apart, read the alarms, and never decode what they need not."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

# An alarm frame, when it arrived (nanoseconds), and the number of the viewer.
OnAlarm = Callable[[dict[str, Any], int, int], None]


class Viewer(asyncio.Protocol):
    """One connection that follows `patients`. `ready`: it has the snapshot of them."""

    def __init__(self, number: int, patients: Sequence[str], on_alarm: OnAlarm) -> None:
        self.ready = False
        self.closed = False
        self.received = 0  # bytes
        self._number, self._patients = number, patients
        self._on_alarm = on_alarm
        self._buffer = bytearray()
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: vigil.v1\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._buffer += data
        if not self._open:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self._buffer.startswith(b"HTTP/1.1 101"), bytes(self._buffer[:80])
            del self._buffer[: end + 4]
            self._open = True
            self._send(1, json.dumps({"type": "subscribe", "patients": list(self._patients)}).encode())
        while (payload := self._frame()) is not None:
            self._see(payload)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def _frame(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, at = buffer[1] & 0x7F, 2
        if size >= 126:
            at = 4 if size == 126 else 10
            if len(buffer) < at:
                return None
            size = int.from_bytes(buffer[2:at], "big")
        if len(buffer) < at + size:
            return None
        payload, opcode = bytes(buffer[at : at + size]), buffer[0] & 0x0F
        del buffer[: at + size]
        if opcode == 9:
            self._send(0xA, payload)
        return payload if opcode == 1 else b""

    def _see(self, payload: bytes) -> None:
        head = payload[:40]
        if b'"type":"alarm"' in head:
            arrived_ns = time.time_ns()
            self._on_alarm(json.loads(payload), arrived_ns, self._number)
        elif b'"type":"snapshot"' in head:
            self.ready = True

    def _send(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        head = (
            bytes([0x80 | opcode, 0x80 | size])
            if size < 126
            else bytes([0x80 | opcode, 0xFE]) + size.to_bytes(2, "big")
        )
        self._transport.write(head + b"\0\0\0\0" + payload)  # masked with zeros


async def connect(port: int, wards: Sequence[Sequence[str]], viewers: int, on_alarm: OnAlarm) -> list[Viewer]:
    """`viewers` viewers of the wards in turn, once all of them have their snapshot."""
    loop = asyncio.get_running_loop()
    found: list[Viewer] = []
    began = time.monotonic()
    for number in range(viewers):
        viewer = Viewer(number, wards[number % len(wards)], on_alarm)
        await loop.create_connection(lambda viewer=viewer: viewer, "127.0.0.1", port)  # type: ignore[misc]
        found.append(viewer)
    while not all(viewer.ready for viewer in found):
        if time.monotonic() - began > 120:
            raise TimeoutError("not all viewers have their snapshot")
        await asyncio.sleep(0.02)
    gc.freeze()  # a thousand viewers in one process: what it takes to look through them is no viewer's delay
    return found
