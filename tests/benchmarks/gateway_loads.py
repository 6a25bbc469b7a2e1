"""Senders in front of a gateway: as cheap as they can be made, since they share the machine with what they measure."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

import numpy as np

from contracts.frames import Labels
from contracts.readings import Readings, encode_readings
from contracts.vitals import INDEX

DEVICES: Final = 500
CONNECTIONS: Final = 256
STREAMS: Final = 4
PIPELINED: Final = 256
ROWS: Final = 10_000
METRICS: Final = ("heart_rate", "spo2", "respiratory_rate", "temperature")
_UNITS: Final = ("/min", "%", "/min", "Cel")
_VALUES: Final = (60, 90, 12, 36)
_ANSWER: Final = b'{"accepted":1,"duplicates":0,"rejected":[]}'
_ANSWER_FRAME: Final = bytes([0x81, len(_ANSWER)]) + _ANSWER

# port, seconds -> acknowledged readings
Load = Callable[[int, float], Coroutine[Any, Any, int]]


def moment(time_ms: int) -> bytes:
    """As a device writes it."""
    return (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ms / 1000)) + f".{time_ms % 1000:03}Z").encode()


def reading(device: int, seq: int, boot: int, at: bytes) -> bytes:
    """One reading as a device would send it."""
    metric = seq % len(METRICS)
    return b'{"patient":"p-%d","device":"d-%d","metric":"%s","value":%d,"unit":"%s","time":"%s","boot":%d,"seq":%d}' % (
        device, device, METRICS[metric].encode(), _VALUES[metric] + seq % 10, _UNITS[metric].encode(), at, boot, seq,
    )  # fmt: skip


def singles(first: int, step: int) -> Iterator[bytes]:
    """Readings without end, each of another device, or later than the last of its device. Those of senders that start at
    another `first` below `step` are others."""
    begin_ms = time.time_ns() // 1_000_000
    boot, number = begin_ms // 1000 % 60_000, first
    while True:
        seq = number // DEVICES
        yield reading(number % DEVICES, seq, boot, moment(begin_ms - 60_000 + seq * 10))
        number += step


def json_batches(first: int, step: int) -> Iterator[bytes]:
    """Batches of `ROWS` readings: what ten devices kept while they were away, four metrics a second."""
    begin_ms = time.time_ns() // 1_000_000
    boot, number = begin_ms // 1000 % 60_000, first
    per_device = ROWS // 10
    while True:
        rows = []
        for device in range(number * 10, number * 10 + 10):
            for second in range(per_device // len(METRICS)):
                at = moment(begin_ms - (300 - second) * 1000)
                seq = number // (DEVICES // 10) * per_device + second * len(METRICS)
                rows += [reading(device % DEVICES, seq + metric, boot, at) for metric in range(len(METRICS))]
        yield b'{"readings":[' + b",".join(rows) + b"]}"
        number += step


def frames(first: int, step: int) -> Iterator[bytes]:
    """Arrow streams of `ROWS` readings of all devices, as a concentrator sends them."""
    begin_ms = time.time_ns() // 1_000_000
    rows, number = np.arange(ROWS), first
    devices = (rows % DEVICES).astype(np.int32)
    metrics = np.array([INDEX[name] for name in METRICS], dtype=np.int16)
    while True:
        yield encode_readings(
            Readings(
                patient=Labels(codes=devices, names=tuple(f"p-{i}" for i in range(DEVICES))),
                device=Labels(codes=devices, names=tuple(f"d-{i}" for i in range(DEVICES))),
                metric=metrics[rows % len(METRICS)],
                value=np.array(_VALUES, dtype=np.float32)[rows % len(METRICS)]
                + (rows // DEVICES % 10).astype(np.float32),
                time_ms=begin_ms - 60_000 + rows // DEVICES * 1000 + number,
                received_ms=np.full(ROWS, begin_ms),
                boot=np.full(ROWS, begin_ms // 1000 % 60_000, dtype=np.int32),
                seq=number * ROWS + rows,
                quality=np.zeros(ROWS, dtype=np.uint8),
            )
        )
        number += step


def request(body: bytes, content_type: str = "application/json") -> bytes:
    """A whole HTTP request."""
    head = f"POST /v1/readings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Poster(asyncio.Protocol):
    """Posts one body after another, each when the one before is answered."""

    def __init__(self, bodies: Iterator[bytes], content_type: str, end: float) -> None:
        self.taken = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._bodies, self._type, self._end = bodies, content_type, end
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(request(next(self._bodies), self._type))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        self._buffer = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError((head[:20] + b": " + body[:300]).decode()))
            self._transport.close()
            return
        self.taken += int(json.loads(body)["accepted"])
        if time.monotonic() < self._end:
            self._transport.write(request(next(self._bodies), self._type))
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def posts(
    bodies: Callable[[int, int], Iterator[bytes]], connections: int, content_type: str = "application/json"
) -> Load:
    """`connections` senders that each wait for an answer before they post again."""

    async def run(port: int, seconds: float) -> int:
        end = time.monotonic() + seconds
        loop = asyncio.get_running_loop()
        senders = [_Poster(bodies(number, connections), content_type, end) for number in range(connections)]
        for sender in senders:
            await loop.create_connection(lambda sender=sender: sender, "127.0.0.1", port)  # type: ignore[misc]
        await asyncio.gather(*(sender.done for sender in senders))
        return sum(sender.taken for sender in senders)

    return run


class _Streamer(asyncio.Protocol):
    """Keeps `PIPELINED` messages of one reading under way on one WebSocket. Every answer must be that of a good reading."""

    def __init__(self, messages: Iterator[bytes], end: float) -> None:
        self.taken = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._messages, self._end = messages, end
        self._buffer, self._open, self._under_way = b"", False, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._buffer, self._open = rest, True
        whole, rest_size = divmod(len(self._buffer), len(_ANSWER_FRAME))
        if self._buffer[: whole * len(_ANSWER_FRAME)] != _ANSWER_FRAME * whole:
            self.done.set_exception(RuntimeError(f"not all accepted: {self._buffer[:300]!r}"))
            self._transport.close()
            return
        self._buffer = self._buffer[-rest_size:] if rest_size else b""
        self.taken += whole
        self._under_way -= whole
        if time.monotonic() < self._end:
            more = PIPELINED - self._under_way
            self._transport.write(b"".join(_masked(next(self._messages)) for _ in range(more)))
            self._under_way = PIPELINED
        elif not self._under_way:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def _masked(message: bytes) -> bytes:
    """A text frame. The mask is zero: the receiver unmasks it all the same."""
    size = len(message)
    head = bytes([0x81, 0x80 | size]) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + b"\0\0\0\0" + message


async def streams(port: int, seconds: float) -> int:
    """WebSockets with one reading a message and many messages under way."""
    end = time.monotonic() + seconds
    loop = asyncio.get_running_loop()
    senders = [_Streamer(singles(number, STREAMS), end) for number in range(STREAMS)]
    for sender in senders:
        await loop.create_connection(lambda sender=sender: sender, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*(sender.done for sender in senders))
    return sum(sender.taken for sender in senders)


LOADS: Final[dict[str, Load]] = {
    "http_single": posts(singles, CONNECTIONS),
    "websocket_single": streams,
    "batch_values": posts(frames, 2, "application/vnd.apache.arrow.stream"),
    "json_batch_values": posts(json_batches, 2),
}
