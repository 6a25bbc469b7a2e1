"""One live connection: reads what the client says, writes what waits in its outbox, ends with a close code that says why.

Each viewer has a writer of its own: one that does not read delays nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from pydantic import TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.live_schema import MESSAGES, RESUME_LIMIT, Message, Pong, SayHello, ShowTicket, Subscribe
from api.outbox import Outbox, Patients
from api.problems import place
from api.schema import FieldError
from contracts.errors import Retryable
from infra.runtime.logs import get_logger

if TYPE_CHECKING:
    from api.board import Shown
    from api.gate import LivePass
    from api.live import Hub

# A client that wants some patients only says so at once: wait that long before sending it everybody.
FIRST_WORD_S: Final = 0.05
# A client that was slow has that long to take what was sent before the close frame; then the connection is cut.
CLOSE_S: Final = 5.0
MESSAGES_PER_S: Final = 20
BURST: Final = 100
REPLAY_PAGE: Final = 200
_MOST_ERRORS: Final = 10
_YIELD_AFTER: Final = 16  # frames written before other tasks get their turn

GOING_AWAY: Final = 1001
UNSUPPORTED: Final = 1003
INVALID: Final = 1007
POLICY: Final = 1008
FAILED: Final = 1011
NO_RIGHT: Final = 4403  # the session runs, but may not follow any more, or not all that it was told of
# An extension of the ASGI scope, given by `api.server`: {"call": a function that cuts the connection}.
ABORT: Final = "vigil.abort"

_log = get_logger("api.viewer")


class Closing(Exception):
    """The server ends a connection with `code` and says why; `errors` names what was wrong with a message."""

    def __init__(self, code: int, reason: str, *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.errors = errors

    def members(self) -> str:
        """The members of an "error" frame after type and seq."""
        errors = [{"field": e.field, "reason": e.reason} for e in self.errors]
        return msgspec.json.encode({"detail": self.reason, "errors": errors}).decode()[1:-1]


_MESSAGE: Final[TypeAdapter[SayHello | Subscribe | ShowTicket | Pong]] = TypeAdapter(Message)
_TYPES: Final = ", ".join(MESSAGES)


def parse_message(text: str) -> SayHello | Subscribe | ShowTicket | Pong:
    """What a client said. Raises `Closing` with the code that the protocol gives for it, and the fields at fault."""
    try:
        return _MESSAGE.validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        match found[0]["type"]:
            case "union_tag_invalid":
                unknown = FieldError(field="type", reason=f"must be one of {_TYPES}")
                raise Closing(UNSUPPORTED, "unknown message type", errors=[unknown]) from None
            case "union_tag_not_found":
                missing = FieldError(field="type", reason=f"is missing; it must be one of {_TYPES}")
                raise Closing(INVALID, "not a message of vigil.v1", errors=[missing]) from None
            case _ if not found[0]["loc"]:
                whole = FieldError(field="message", reason="must be one JSON object")
                raise Closing(INVALID, "not a message of vigil.v1", errors=[whole]) from None
        errors = [FieldError(field=place(e["loc"]), reason=e["msg"]) for e in found[:_MOST_ERRORS]]
        raise Closing(INVALID, "not a message of vigil.v1", errors=errors) from None


class Viewer:
    """A connection. Made by `serve`, known to the hub while it lasts."""

    def __init__(self, hub: Hub, socket: WebSocket, pass_: LivePass | None = None) -> None:
        """`pass_`: what it may be told; None: everything."""
        self.outbox = Outbox()
        self.pass_ = pass_
        self.sending_since: float | None = None
        self.replaying = True  # perhaps the client has missed something that was not sent yet
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

    def regroup(self) -> Closing | None:
        """It may be told of others than before: from now on nobody else. Where alarms wait in line that may be of somebody
        whom it has lost, it has to connect again."""
        if self.outbox.narrow(self._wanted):
            self.wake()
            return None
        return Closing(NO_RIGHT, "the care team has changed: connect again")

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

    def reload(self) -> Closing | None:
        """Give the client a new snapshot, if it has had one; in it is nobody who has moved to a ward of others meanwhile.
        Returns why it has to connect again instead."""
        if self.outbox.snapshot is None:
            return None
        wanted = self._wanted
        if self.outbox.loses(wanted):
            return self.regroup()
        self.outbox.subscribe(wanted)
        self.wake()
        return None

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
                bytes_ = FieldError(field="message", reason="must be text, not bytes")
                raise Closing(UNSUPPORTED, "vigil.v1 speaks text, not bytes", errors=[bytes_])
            self._hear(parse_message(text))

    def _hear(self, message: SayHello | Subscribe | ShowTicket | Pong) -> None:
        match message:
            case SayHello(resume_feed_seq=after) if not self._resumed:
                self._resumed = True
                if after is None:
                    self.replaying = False
                else:
                    self._do(self._replay(after))
            case Subscribe(patients=patients):
                self._asked = None if patients is None else frozenset(patients)
                self._spoken = True
                if self.outbox.snapshot is None:
                    self.start()
                else:
                    if self.pass_ is not None:
                        self.pass_.asked_for(self._asked)
                    self.outbox.subscribe(self._wanted)
                    self.wake()
            case ShowTicket(ticket=ticket):
                if self.pass_ is not None:
                    self.pass_.show(ticket)

    async def _wait_for_first_word(self) -> None:
        await asyncio.sleep(FIRST_WORD_S)
        self._spoken = True
        self.start()

    async def _replay(self, after: int) -> None:
        await self._replay_after(after)
        self.replaying = False

    async def _replay_after(self, after: int) -> None:
        """Send the recorded alarm changes after number `after` that the first snapshot already holds; the later ones come
        by themselves. Too many of them, or a number that this feed does not have, are answered with a resync."""
        await self._following.wait()
        first = self.outbox.snapshot
        assert first is not None
        newest = max(first.seen, *first.ahead, 0)
        if newest - after > RESUME_LIMIT:
            self._resync(after, "too_old")
            return
        if after > newest:  # this node is behind, or the client has the number from another database
            page = await self._recorded(after - 1, 1)
            if [shown.feed_seq for shown in page] != [after]:
                self._resync(after, "unknown")
            return
        while after < newest:
            page = await self._recorded(after, REPLAY_PAGE)
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

    async def _recorded(self, after: int, limit: int) -> Sequence[Shown]:
        """The database may be away for a while: the live feed goes on, the replay waits."""
        while True:
            try:
                return await self._hub.recorded(after, limit)
            except Retryable as error:
                await asyncio.sleep(error.after_s)

    def _resync(self, asked: int, reason: str) -> None:
        self.outbox.resync(f'"asked":{asked},"reason":"{reason}"')
        self.wake()

    async def _close(self, closing: Closing | None) -> None:
        """Say goodbye if there is anyone to say it to, and make sure that the connection is gone."""
        try:
            if closing is not None:
                async with asyncio.timeout(CLOSE_S):
                    if closing.errors:
                        await self._socket.send_text(self.outbox.last(closing.members()).text)
                    await self._socket.close(closing.code, closing.reason)
                return
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            pass  # it does not take even that, or it has left
        abort: Callable[[], None] | None = self._socket.scope["extensions"].get(ABORT, {}).get("call")
        if abort is not None:
            abort()
