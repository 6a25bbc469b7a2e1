"""The live feed for programs: connects again by itself, with waits that grow and differ, and resumes where it was."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.typing import Origin, Subprotocol

from api.client.errors import ApiRefused, checked_address, refused
from api.live_schema import (
    FINAL,
    FRAMES,
    PATH,
    PROTOCOL,
    SILENT_S,
    AlarmChange,
    Frame,
    Heartbeat,
    Refusal,
    Resync,
    Snapshot,
)

FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 5.0  # so that a screen is back within five seconds of its server, whenever that is
_MAX_FRAME_BYTES: Final = 64 * 1024 * 1024  # a snapshot of a large ward
_AGAIN: Final = frozenset({408, 429})  # and whatever is the server's fault
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_FRAME: Final[TypeAdapter[Frame]] = TypeAdapter(Frame)


class Lost(NamedTuple):
    """A connection ended, or did not come about: why, and how long until the next try."""

    reason: str
    wait_s: float


class FeedPosition:
    """Which recorded changes were seen. `number`: every one up to it; what to resume from. Pure."""

    def __init__(self, number: int | None = None) -> None:
        self.number = number
        self._ahead: set[int] = set()

    def is_new(self, frame: Frame) -> bool:
        """Take a frame into account; False for a recorded change that was seen before."""
        match frame:
            case Resync():
                self.number = None
                self._ahead.clear()
            case Snapshot(feed_seq=number) if self.number is None:
                self._reach(number)
            case Heartbeat(feed_seq=int(number)) if self.number is not None:
                self._reach(max(number, self.number))
            case AlarmChange(feed_seq=int(number)):
                if number in self._ahead or (self.number is not None and number <= self.number):
                    return False
                self._ahead.add(number)
                self._reach(self.number)
        return True

    def _reach(self, number: int | None) -> None:
        if number is not None:
            while number + 1 in self._ahead:
                number += 1
            self._ahead = {n for n in self._ahead if n > number}
            self.number = number


class LiveClient:
    """The live feed of one server."""

    def __init__(
        self,
        url: str,
        *,
        patients: Collection[str] | None = None,
        resume_feed_seq: int | None = None,
        origin: str | None = None,
        lost: Callable[[Lost], None] = lambda _: None,
        token: str = "",
    ) -> None:
        """`url` is the server's base address; `patients` None: all. `resume_feed_seq`: replay the alarm changes after it. `lost`
        is told of each connection that ended. `token`: of a program session, where people have accounts. Raises `VigilError` for
        an address that could never be asked."""
        self._url = live_url(url)
        self._local = checked_address(url).hostname in _LOOPBACK
        self._patients = None if patients is None else sorted(patients)
        self._origin = None if origin is None else Origin(origin)
        self._position = FeedPosition(resume_feed_seq)
        self._lost = lost
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.connected = False
        self.connections = 0

    @property
    def feed_seq(self) -> int | None:
        """Up to here every recorded alarm change was seen; what to resume from."""
        return self._position.number

    async def frames(self) -> AsyncGenerator[Frame]:
        """Frames without end. A recorded alarm change comes once, over all connections. A snapshot replaces what was known; one
        comes first on each connection, and after a `Resync`. Frames of a type that this client does not know are left out.
        Raises `ApiRefused` when there is no sense in trying again."""
        failures = 0
        while True:
            try:
                async with self._connection() as socket, aclosing(self._frames_of(socket)) as frames:
                    async for frame in frames:
                        failures = 0
                        yield frame
                reason = "a frame is missing"
            except InvalidStatus as error:
                status = error.response.status_code
                if status < 500 and status not in _AGAIN:
                    raise refused(status, bytes(error.response.body or b"")) from error
                reason = f"it answers {status}"
            except ConnectionClosed as error:
                if error.rcvd is not None and error.rcvd.code in FINAL:
                    raise ApiRefused(error.rcvd.code, "closed", error.rcvd.reason) from error
                reason = error.rcvd.reason if error.rcvd is not None and error.rcvd.reason else "the connection ended"
            except InvalidMessage:
                reason = "it does not speak HTTP, or ended the connection at once"
            except InvalidHandshake as error:
                raise ApiRefused(0, "handshake", "What answered does not speak vigil.v1.", fix="look at the address") from error
            except TimeoutError:
                reason = "nothing came for a while"
            except (OSError, EOFError) as error:
                reason = getattr(error, "strerror", None) or "it does not answer"
            except ValidationError:
                reason = "it said something that is not vigil.v1"
            finally:
                self.connected = False
            failures += 1
            wait_s = wait_after(failures, random.random())  # noqa: S311 - spreads clients, guards nothing
            self._lost(Lost(reason, wait_s))
            await asyncio.sleep(wait_s)

    def _connection(self) -> connect:
        return connect(
            self._url,
            subprotocols=[Subprotocol(PROTOCOL)],
            origin=self._origin,
            additional_headers=self._headers,
            compression=None,
            max_size=_MAX_FRAME_BYTES,
            close_timeout=1,
            proxy=None if self._local else True,
        )

    async def _frames_of(self, socket: ClientConnection) -> AsyncGenerator[Frame]:
        """The frames of one connection; the end: one was missing."""
        if socket.subprotocol != PROTOCOL:
            raise ApiRefused(0, "subprotocol", "The server does not speak vigil.v1.", fix="look at the address")
        self.connected = True
        self.connections += 1
        hello: dict[str, object] = {"type": "hello"}
        if self.feed_seq is not None:
            hello["resume_feed_seq"] = self.feed_seq
        await socket.send(json.dumps(hello))
        if self._patients is not None:
            await socket.send(json.dumps({"type": "subscribe", "patients": self._patients}))
        expected = 0
        while True:
            async with asyncio.timeout(SILENT_S):
                text = await socket.recv()
            expected += 1
            frame = parse_frame(text)
            if isinstance(frame, int):
                if frame != expected:
                    return
                continue
            if frame.seq != expected:
                return  # something was lost: the next connection brings it
            if isinstance(frame, Refusal):
                said = "; ".join(f"{e.field}: {e.reason}" for e in frame.errors)
                raise ApiRefused(1007, "message", f"{frame.detail}: {said}")
            if self._position.is_new(frame):
                yield frame


def parse_frame(text: str | bytes) -> Frame | int:
    """A frame; of a frame of a type that is not known here, its `seq`. Raises `ValidationError`."""
    try:
        return _FRAME.validate_json(text, extra="ignore")
    except ValidationError as error:
        if error.errors()[0]["type"] == "union_tag_invalid":
            head = json.loads(text)
            if isinstance(head.get("seq"), int) and head.get("type") not in FRAMES:
                return int(head["seq"])
        raise


def wait_after(failures: int, chance: float) -> float:
    """Seconds before the next try, after so many in a row failed. `chance` in [0, 1): a thousand clients of a server that comes
    back must not come all at once, and one alone need not wait long."""
    longest: float = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures, 16))
    return longest * chance


def live_url(address: str) -> str:
    """The WebSocket of the API at `address` (http or https). Raises `VigilError` for anything else."""
    parts = checked_address(address)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{PATH}"
