"""What goes into the audit log, and when: every read and write of what is about patients, every log-in, every denial.

A change is in SQL before it is answered. A read is put in line before its answer leaves, and is in SQL within `GATHER_S`: reads
do not wait for the log. The same read by the same person again within a minute is counted and written once more with its number.
When SQL does not take the log for so long that the line is full, patients' data is not given any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import operator
from collections import deque
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.permit import Permit, permit_of
from api.stores import SqlStores
from contracts.errors import VigilError
from contracts.policy import READS, Action
from infra.runtime.clock import Clock
from infra.runtime.logs import get_logger
from infra.runtime.sql.audit import Entry

GATHER_S: Final = 0.2
REPEATS_MS: Final = 60_000
MOST_WAITING: Final = 20_000
HEAD_TOLD_MS: Final = 60_000
_BATCH: Final = 1000
_AGAIN_S: Final = 1.0
_DURABLE_S: Final = 2.0  # a change that was made is answered after that in any case; its entry stays in line
_LAST_S: Final = 1.0

# What is not about patients or accounts is noted only when it was denied.
_NOT_NOTED: Final = frozenset({Action.ANYBODY, Action.SYSTEM_SEE})
_log = get_logger("api.auditing")


_BUT_FOR_ITS_TIME: Final = operator.attrgetter(*(name for name in Entry.__dataclass_fields__ if name != "at_ms"))


class _Repeats:
    """What has come again since it was written first, and how often."""

    __slots__ = ("first", "newest_ms", "times")

    def __init__(self, first: Entry) -> None:
        self.first = first
        self.newest_ms = first.at_ms
        self.times = 0


class Auditor:
    """The line of entries of this node, and who writes it. Everything here runs on the event loop."""

    def __init__(self, stores: SqlStores, clock: Clock) -> None:
        self._stores = stores
        self._clock = clock
        self._line: deque[tuple[Entry, asyncio.Future[None] | None]] = deque()
        self._repeats: dict[object, _Repeats] = {}
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._told_seq = self._told_ms = 0

    @property
    def full(self) -> bool:
        """Whether too much waits: what cannot be noted must not be shown."""
        return len(self._line) >= MOST_WAITING

    @property
    def waiting(self) -> int:
        """How many entries are in line."""
        return len(self._line)

    def note(self, entry: Entry) -> None:
        """Put an entry in line; one that is the same but for its time is counted for a minute."""
        same = _BUT_FOR_ITS_TIME(entry)
        known = self._repeats.get(same)
        if known is not None and entry.at_ms - known.first.at_ms < REPEATS_MS:
            known.newest_ms = entry.at_ms
            known.times += 1
            return
        if known is not None:
            self._tell(known)
        self._repeats[same] = _Repeats(entry)
        self._put(entry, None)

    async def record(self, entry: Entry) -> None:
        """Put an entry in line and wait until SQL has it, but not for ever."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(entry, done)
        self._hurry.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done, _DURABLE_S)

    async def run(self) -> None:
        """Write what is in line, until cancelled; then the rest, if SQL takes it at once."""
        told: str | None = None
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.0):  # not `wait_for`: see `sql_feed`
                        await self._wake.wait()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(GATHER_S):
                        await self._hurry.wait()
                self._wake.clear()
                self._hurry.clear()
                self._sum_up()
                try:
                    await self._write()
                    await self._tell_head()
                    trouble = None
                except VigilError as error:
                    trouble = error.message
                    await asyncio.sleep(_AGAIN_S)
                if trouble != told:
                    told = trouble
                    if trouble is not None:
                        _log.warning("audit log not written", reason=trouble, waiting=len(self._line))
                    else:
                        _log.info("audit log is written again")
        finally:
            self._sum_up(everything=True)
            with contextlib.suppress(VigilError, TimeoutError):
                async with asyncio.timeout(_LAST_S):
                    await self._write()
                    await self._tell_head(at_once=True)

    def _put(self, entry: Entry, done: asyncio.Future[None] | None) -> None:
        self._line.append((entry, done))
        self._wake.set()

    def _sum_up(self, *, everything: bool = False) -> None:
        """Write the counts whose minute is over."""
        now_ms = self._clock.now_ms()
        over = [s for s, r in self._repeats.items() if everything or now_ms - r.first.at_ms >= REPEATS_MS]
        for same in over:
            self._tell(self._repeats.pop(same))

    def _tell(self, known: _Repeats) -> None:
        if known.times:
            self._put(dataclasses.replace(known.first, at_ms=known.newest_ms, times=known.times), None)

    async def _write(self) -> None:
        while self._line:
            batch = [self._line[n] for n in range(min(_BATCH, len(self._line)))]
            await self._stores.audit(lambda store, batch=batch: store.append([entry for entry, _ in batch]))  # type: ignore[misc]
            for _, done in batch:
                self._line.popleft()
                if done is not None and not done.done():
                    done.set_result(None)

    async def _tell_head(self, *, at_once: bool = False) -> None:
        """Say the end of the chain, whoever has written it, where the database's owner cannot change it: in the log, once
        a minute and when the process ends."""
        now_ms = self._clock.now_ms()
        if not self._stores.is_open or not (at_once or now_ms - self._told_ms >= HEAD_TOLD_MS):
            return
        head = await self._stores.audit(lambda store: store.head())
        self._told_ms = now_ms
        if head.seq != self._told_seq:
            self._told_seq = head.seq
            _log.info("audit head", audit_seq=head.seq, audit_hash=head.hash)


def entry_of(permit: Permit, outcome: str, at_ms: int) -> Entry:
    """What is noted about a request. Pure."""
    return Entry(
        at_ms=at_ms,
        actor=permit.actor,
        session=None if permit.session is None else permit.session.session_id,
        action=permit.action,
        operation=permit.operation,
        patient=permit.patient,
        object=permit.object,
        outcome=outcome,
        reason=permit.denied,
        source=permit.source,
    )


def outcome_of(permit: Permit, status: int) -> str | None:
    """How the request ended, as the log says it; None: it is not noted. Pure."""
    if permit.denied is not None:
        return "denied"
    if permit.action in _NOT_NOTED or (
        permit.action is Action.SESSION_OWN and not permit.operation.startswith("DELETE")
    ):
        return None
    return "allowed" if status < 400 else "failed"


class Audited:
    """ASGI middleware: notes each request before the first byte of its answer leaves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and (permit := permit_of(scope)) is not None:
                await _note(scope, permit, message["status"])
            await send(message)

        await self._app(scope, receive, sending)


async def _note(scope: Scope, permit: Permit, status: int) -> None:
    node = scope["app"].state.node
    outcome = outcome_of(permit, status)
    if outcome is None:
        return
    entry = entry_of(permit, outcome, node.clock.now_ms())
    if permit.action in READS or outcome == "denied":
        node.auditor.note(entry)
    else:
        await node.auditor.record(entry)
