"""Peers of the live feed that no library would make: they say bytes, answer no ping, or take nothing.

    python -m tests.faults.harness.live_peers PORT SECONDS

abuses the node at PORT in every way, again and again, and prints what came of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence

from tests.benchmarks.latency_viewers import Viewer

TEXT, BYTES, CLOSE, PING = 1, 2, 8, 9
MB = 1024 * 1024


def framed(opcode: int, payload: bytes, *, last: bool = True, reserved: bool = False) -> bytes:
    """A client's frame (RFC 6455, 5.2), masked with zeros; `reserved`: as a compressed one is marked."""
    size = len(payload)
    head = bytes([(0x80 if last else 0) | (0x40 if reserved else 0) | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += bytes([0xFE]) + size.to_bytes(2, "big")
    else:
        head += bytes([0xFF]) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


async def handshake(port: int, headers: Mapping[str, str]) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for the live feed; the HTTP status of the answer, and the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = {
        "Host": f"127.0.0.1:{port}", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "vigil.v1", **headers,
    }  # fmt: skip
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    writer.write(f"GET /api/v1/live HTTP/1.1\r\n{lines}\r\n".encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    return int(answer.split()[1]), reader, writer


async def close_code(port: int, frames: Iterable[bytes], headers: Mapping[str, str] | None = None) -> int:
    """Say these bytes; the code with which the server closes, 1006 if it just hangs up."""
    status, reader, writer = await handshake(port, headers or {})
    assert status == 101, status
    reading = asyncio.create_task(_close_code(reader))
    try:
        for frame in frames:
            writer.write(frame)
            await writer.drain()
    except ConnectionError:
        pass
    try:
        return await asyncio.wait_for(reading, 60)
    finally:
        writer.close()


async def _close_code(reader: asyncio.StreamReader) -> int:
    try:
        while True:
            first, second = await reader.readexactly(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
            payload = await reader.readexactly(size)
            if first & 0x0F == CLOSE:
                return int.from_bytes(payload[:2], "big")
    except (asyncio.IncompleteReadError, ConnectionError):
        return 1006


class DeadViewer(Viewer):
    """Reads, and answers no ping: the other end of a connection that is half open."""

    def _send(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            super()._send(opcode, payload)


class StuckViewer(Viewer):
    """Follows everybody, and takes nothing once it has its snapshot."""

    def _send(self, opcode: int, payload: bytes) -> None:
        super()._send(opcode, json.dumps({"type": "subscribe", "patients": None}).encode() if opcode == TEXT else payload)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.ready:
            self._transport.pause_reading()


async def some(kind: type[Viewer], port: int, number: int, patients: Sequence[str]) -> list[Viewer]:
    """Peers of a kind, once they have their snapshot."""
    found = [kind(n, patients, lambda *_: None) for n in range(number)]
    for viewer in found:
        await asyncio.get_running_loop().create_connection(lambda viewer=viewer: viewer, "127.0.0.1", port)  # type: ignore[misc]
    while not all(viewer.ready for viewer in found):  # noqa: ASYNC110 - several things are waited for
        await asyncio.sleep(0.02)
    return found


def abuses() -> dict[str, tuple[int, list[bytes]]]:
    """What is said, and the close code for it."""
    deep = ('{"type":"subscribe","patients":' + "[" * 30_000).encode()
    return {
        "1 MB frame": (1009, [framed(TEXT, b"x" * MB)]),
        "pieces without end": (1009, [framed(TEXT, b'{"', last=False), *[framed(0, b"x" * 1000, last=False)] * 100]),
        "10,000 messages": (1008, [framed(TEXT, b'{"type":"pong"}')] * 10_000),
        "10,000 pings": (1008, [framed(PING, b"x")] * 10_000),
        "empty pieces": (1008, [framed(TEXT, b"", last=False), *[framed(0, b"", last=False)] * 10_000]),
        "compressed bomb": (1002, [framed(TEXT, b"\0" * 1000, reserved=True)]),
        "bad UTF-8": (1007, [framed(TEXT, b'{"type":"\xff\xfe"}')]),
        "deep JSON": (1007, [framed(TEXT, deep)]),
        "a number of 60,000 digits": (1007, [framed(TEXT, b'{"type":"hello","resume_feed_seq":' + b"9" * 60_000 + b"}")]),
        "unknown type": (1003, [framed(TEXT, b'{"type":"admin"}')]),
        "bytes": (1003, [framed(BYTES, b"\0\1")]),
        "half a message": (1007, [framed(TEXT, b'{"type":')]),
    }


async def abuse(port: int, seconds: float) -> dict[str, object]:
    """Once, and then until the time is over."""
    asked = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    until_s, attacks, wrong = time.monotonic() + seconds, 0, list[str]()
    while not attacks or time.monotonic() < until_s:
        for name, (code, frames) in abuses().items():
            found = await close_code(port, frames, asked)
            attacks += 1
            if found not in (code, 1006):  # who still sends when we close may see the connection reset instead
                wrong.append(f"{name}: {found}")
    return {"kinds": len(abuses()), "attacks": attacks, "wrong": wrong}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(abuse(int(sys.argv[1]), float(sys.argv[2])))))
