"""One live connection: reads what the client says, writes what waits in its outbox, ends with a close code that says why.

Each viewer has a writer of its own: one that does not read delays nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.outbox import Outbox, Patients
from contracts.errors import Retryable
from infra.runtime.logs import get_logger

if TYPE_CHECKING:
    from api.gate import LivePass
    from api.live import Hub

# A client that wants some patients only says so at once: wait that long before sending it everybody.
FIRST_WORD_S: Final = 0.05
# A client that was slow has that long to take what was sent before the close frame; then the connection is cut.
CLOSE_S: Final = 5.0
MESSAGES_PER_S: Final = 20
BURST: Final = 100
REPLAY_PAGE: Final = 200
_YIELD_AFTER: Final = 16  # frames written before other tasks get their turn

GOING_AWAY: Final = 1001
UNSUPPORTED: Final = 1003
INVALID: Final = 1007
POLICY: Final = 1008
FAILED: Final = 1011
# An extension of the ASGI scope, given by `api.server`: {"call": a function that cuts the connection}.
ABORT: Final = "vigil.abort"

_log = get_logger("api.viewer")


class Closing(Exception):
    """The server ends a connection with `code` and says why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Hello(msgspec.Struct, tag="hello", tag_field="type", forbid_unknown_fields=True):
    resume_feed_seq: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _Subscribe(msgspec.Struct, tag="subscribe", tag_field="type", forbid_unknown_fields=True):
    patients: list[str] | None


class _Ticket(msgspec.Struct, tag="ticket", tag_field="type", forbid_unknown_fields=True):
    ticket: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class _Pong(msgspec.Struct, tag="pong", tag_field="type"):
    pass


class _Typed(msgspec.Struct):
    type: str


Message = _Hello | _Subscribe | _Ticket | _Pong
_TYPES: Final = frozenset({"hello", "subscribe", "ticket", "pong"})


def parse_message(text: str) -> Message:
    """What a client said. Raises `Closing` with the code that the protocol gives for it."""
    try:
        kind = msgspec.json.decode(text, type=_Typed).type
        if kind not in _TYPES:
            raise Closing(UNSUPPORTED, "unknown message type; known are hello, subscribe, ticket, pong")
        message: Message = msgspec.json.decode(text, type=Message)
    except (msgspec.DecodeError, RecursionError) as error:  # ValidationError is a DecodeError
        raise Closing(INVALID, "not a message of vigil.v1") from error
    return message


class Viewer:
    """A connection. Made by `serve`, known to the hub while it lasts."""

    def __init__(self, hub: Hub, socket: WebSocket, pass_: LivePass | None = None) -> None:
        """`pass_`: what it may be told; None: everything."""
        self.outbox = Outbox()
        self.pass_ = pass_
        self.sending_since: float | None = None
        self._hub = hub
        self._socket = socket
        self._wake = asyncio.Event()
        self._following = asyncio.Event()  # the first snapshot has been sent
        self._replayed = asyncio.Event()  # no replayed alarm waits
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Future[Closing | None] = asyncio.get_running_loop().create_future()
        self._asked: Patients = None
        self._spoken = False
        self._resumed = False

    @property
    def _wanted(self) -> Patients:
        """Of the patients that it has asked for, those that it may be told of."""
        return self._asked if self.pass_ is None else self.pass_.narrow(self._asked)

    def regroup(self) -> bool:
        """It may be told of others than before. False: it has to connect again."""
        if not self.outbox.narrow(self._wanted):
            return False
        self.wake()
        return True

    def wake(self) -> None:
        """Something may wait in the outbox."""
        self._wake.set()

    def end(self, closing: Closing | None) -> None:
        """End the connection; None: the client has left. The first reason counts."""
        if not self._ended.done():
            self._ended.set_result(closing)

    def start(self) -> None:
        """Give the client its snapshot if it has spoken, or had its time to, and the server's state is complete."""
        if self._spoken and self._hub.warm and self.outbox.snapshot is None:
            if self.pass_ is not None:
                self.pass_.asked_for(self._asked)
            self.outbox.subscribe(self._wanted)
            self.wake()

    def reload(self) -> None:
        """Give the client a new snapshot, if it has had one."""
        if self.outbox.snapshot is not None:
            self.outbox.subscribe(self._wanted)
            self.wake()

    async def serve(self) -> None:
        """Run the connection, already accepted, until one side ends it."""
        closing: Closing | None = Closing(GOING_AWAY, "the server stops")
        try:
            self._hub.add(self)
            for work in (self._write(), self._read(), self._wait_for_first_word()):
                self._do(work)
            closing = await self._ended
        except Closing as refused:
            closing = refused
        finally:
            self._hub.leave(self)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            try:
                await self._close(closing)
            finally:
                self._hub.gone(self)

    def _do(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._to_the_end(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _to_the_end(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Closing as closing:
            self.end(closing)
        except WebSocketDisconnect:
            self.end(None)
        except Exception as error:  # a bug on one connection ends that one, visibly
            _log.error("viewer failed", error=type(error).__name__)
            self.end(Closing(FAILED, "the server failed on this connection"))

    async def _write(self) -> None:
        source, sent = self._hub.source, self._hub.sent
        frames = 0
        while True:
            frame = self.outbox.take(source)
            if not self.outbox.replaying:
                self._replayed.set()
            if frame is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            self.sending_since = time.monotonic()
            await self._socket.send_text(frame.text)
            self.sending_since = None
            sent[frame.type] += 1
            if frame.type == "snapshot":
                self._following.set()
            frames += 1
            if frames % _YIELD_AFTER == 0 or (frame.type == "alarm" and not self.outbox.alarms_wait):
                await asyncio.sleep(0)  # after an alarm: everybody else's alarm goes before anybody's values

    async def _read(self) -> None:
        allowance, then = float(BURST), time.monotonic()
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            now = time.monotonic()
            allowance, then = min(BURST, allowance + (now - then) * MESSAGES_PER_S) - 1, now
            if allowance < 0:
                raise Closing(POLICY, "too many messages")
            text = message.get("text")
            if text is None:
                raise Closing(UNSUPPORTED, "vigil.v1 speaks text, not bytes")
            self._hear(parse_message(text))

    def _hear(self, message: Message) -> None:
        match message:
            case _Hello(resume_feed_seq=after) if after is not None and not self._resumed:
                self._resumed = True
                self._do(self._replay(after))
            case _Subscribe(patients=patients):
                self._asked = None if patients is None else frozenset(patients)
                self._spoken = True
                if self.outbox.snapshot is None:
                    self.start()
                else:
                    if self.pass_ is not None:
                        self.pass_.asked_for(self._asked)
                    self.outbox.subscribe(self._wanted)
                    self.wake()
            case _Ticket(ticket=ticket):
                if self.pass_ is not None:
                    self.pass_.show(ticket)

    async def _wait_for_first_word(self) -> None:
        await asyncio.sleep(FIRST_WORD_S)
        self._spoken = True
        self.start()

    async def _replay(self, after: int) -> None:
        """Send the recorded alarm changes after number `after` that the first snapshot already holds; the later ones come
        by themselves. SQL may be away for a while: the live feed goes on, the replay waits."""
        await self._following.wait()
        first = self.outbox.snapshot
        assert first is not None
        newest = max(first.seen, *first.ahead, 0)
        while after < newest:
            try:
                page = await self._hub.recorded(after, REPLAY_PAGE)
            except Retryable as error:
                await asyncio.sleep(error.after_s)
                continue
            if not page:
                return
            self.outbox.replay(
                (shown.alarm.patient, shown.members())
                for shown in page
                if shown.feed_seq is not None and first.holds(shown.feed_seq)
            )
            after = page[-1].feed_seq or newest
            self._replayed.clear()
            self.wake()
            await self._replayed.wait()  # one page at a time in memory, however slow the client is

    async def _close(self, closing: Closing | None) -> None:
        """Say goodbye if there is anyone to say it to, and make sure that the connection is gone."""
        try:
            if closing is not None:
                async with asyncio.timeout(CLOSE_S):
                    await self._socket.close(closing.code, closing.reason)
                return
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            pass  # it does not take even that, or it has left
        abort: Callable[[], None] | None = self._socket.scope["extensions"].get(ABORT, {}).get("call")
        if abort is not None:
            abort()
