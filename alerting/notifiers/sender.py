"""Takes notices from the outbox and sends them, each channel in its own lane, the most urgent first.

    due (SQL, leased) -> lane of the channel -> one try, time limited -> receipt (SQL) -> over, again later, or dead

A lane holds so many tries at once and no more is taken for it than fits: what a dead or slow channel cannot carry stays in
SQL, where it keeps nobody waiting. Some places of each lane are for high priority alone. A receipt that SQL does not take
at once is kept until it does; should the process die before, the lease ends and the notice is sent once more, with the same
id.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from traceback import extract_tb
from typing import Final, TypeVar

from alerting.notifiers.base import Delivered, Notifier, Refused, TryAgain
from alerting.notifiers.body import Site, compose
from alerting.notifiers.retry import TRY_S, Later, after_failure
from contracts.alarms import Priority
from contracts.errors import Retryable
from contracts.notices import Channel, Notice, NoticeOutbox, Receipt, ReceiptStatus
from infra.runtime.clock import Clock
from infra.runtime.logs import get_logger
from infra.runtime.metrics import Metrics

# Tries at once in one lane, and how many more only high priority may have. A lane is given more when this many places are free.
WIDTH: Final = 16
KEPT_FOR_HIGH: Final = 4
HANDFUL: Final = 4
LOOK_S: Final = 1.0
# How long a stop waits for the tries that run. What is cut off is sent again when its lease ends.
LEAVE_S: Final = 3.0
_DETAIL: Final = 500  # as long as a receipt's detail may be

_T = TypeVar("_T")
_log = get_logger("alerting.notifiers.sender")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one try came to. `asked_ms`: the other side wants to be left alone for so long."""

    status: ReceiptStatus
    detail: str
    asked_ms: int | None = None


async def send_once(notice: Notice, notifier: Notifier | None, site: Site, *, try_s: float = TRY_S) -> Outcome:
    """One try through its notifier, None where there is none: what came of it, FAILED where it may work later. Raises nothing."""
    if notifier is None:
        return Outcome(status=ReceiptStatus.DEAD, detail=f"this installation has no channel {notice.channel}")
    try:
        async with asyncio.timeout(try_s):
            taken = await notifier.send(notice, compose(notice, site))
    except TimeoutError:
        return Outcome(status=ReceiptStatus.FAILED, detail=f"no answer within {try_s:g} s")
    except TryAgain as failed:
        return Outcome(status=ReceiptStatus.FAILED, detail=failed.detail, asked_ms=failed.after_ms)
    except Refused as refused:
        return Outcome(status=ReceiptStatus.DEAD, detail=refused.detail)
    except Exception as error:
        # A bug in one notifier: tried again like any failure, then dead and said so, never lost.
        _log.error("a notifier failed", channel=notice.channel, why=type(error).__name__, where=_where(error))
        return Outcome(status=ReceiptStatus.FAILED, detail=f"our own fault: {type(error).__name__}")
    status = ReceiptStatus.DELIVERED if isinstance(taken, Delivered) else ReceiptStatus.SENT
    return Outcome(status=status, detail=taken.detail)


def _where(error: BaseException) -> str:
    """The lines of code that led to an error. Not its message, nor the values around it: those may hold an address."""
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(extract_tb(error.__traceback__)))


class Sender:
    """`run` until stopped; `wake` when there is something new in the outbox, else it is seen within `LOOK_S`."""

    def __init__(
        self,
        outbox: NoticeOutbox,
        notifiers: Mapping[Channel, Notifier],
        clock: Clock,
        *,
        site: Site = Site(),  # noqa: B008 (frozen)
        metrics: Metrics | None = None,
        try_s: float = TRY_S,
    ) -> None:
        self._outbox, self._notifiers, self._clock = outbox, notifiers, clock
        self._site, self._metrics, self._try_s = site, metrics, try_s
        self._running: Counter[Channel] = Counter()
        self._tries: set[asyncio.Task[None]] = set()
        self._unrecorded: list[tuple[Receipt, int | None]] = []
        self._awake = asyncio.Event()
        self._broken: BaseException | None = None
        self._said: dict[Channel, str] = {}
        self._sql_away = False
        # SQL in one thread of its own: threads that hang in name servers or in a channel must not hold it up.
        self._sql = ThreadPoolExecutor(max_workers=1, thread_name_prefix="notices-sql")

    def wake(self) -> None:
        """Look into the outbox now."""
        self._awake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set. Closes the notifiers when it ends."""
        stopping = asyncio.ensure_future(stop.wait())
        stopping.add_done_callback(lambda _: self.wake())
        try:
            while not stop.is_set():
                if self._broken is not None:
                    raise self._broken
                self._awake.clear()
                if await self._record():
                    await self._take_all(stop)
                try:
                    await asyncio.wait_for(self._awake.wait(), LOOK_S)
                except TimeoutError:
                    continue
            if self._tries:
                await asyncio.wait(self._tries, timeout=LEAVE_S)
            await self._record()
        finally:
            stopping.cancel()
            for task in self._tries:
                task.cancel()
            await asyncio.gather(*self._tries, return_exceptions=True)
            for notifier in self._notifiers.values():
                await notifier.close()
            self._sql.shutdown(wait=False, cancel_futures=True)

    async def _take_all(self, stop: asyncio.Event) -> None:
        """Take what is due as long as there is something and room for it."""
        more = True
        while more and not stop.is_set():
            more = await self._take(self._lanes(0, WIDTH), Priority.LOW)
            more |= await self._take(self._lanes(WIDTH - HANDFUL + 1, WIDTH + KEPT_FOR_HIGH), Priority.HIGH)
            more = more and await self._record()

    def _lanes(self, least: int, most: int) -> dict[Channel, int]:
        """The lanes that run at least `least` tries and have a handful of places free below `most`, with their number."""
        running = {channel: self._running[channel] for channel in Channel}
        return {channel: most - n for channel, n in running.items() if n >= least and most - n >= HANDFUL}

    async def _take(self, room: Mapping[Channel, int], least: Priority) -> bool:
        """Take what is due for the lanes in `room`, as much as the fullest has places for, and begin to send it."""
        if not room:
            return False
        now_ms, limit = self._clock.now_ms(), min(room.values())
        due = await self._ask(lambda: self._outbox.due(now_ms, limit, channels=tuple(room), least=least))
        for notice, attempt in due or ():
            self._running[notice.channel] += 1
            task = asyncio.create_task(self._deliver(notice, attempt))
            self._tries.add(task)
            task.add_done_callback(self._ended)
        return bool(due)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A try that ends with an error is a bug around the outbox: the process stops, and the lease brings the notice back."""
        self._tries.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = error
        self.wake()

    async def _deliver(self, notice: Notice, attempt: int) -> None:
        try:
            outcome = await send_once(notice, self._notifiers.get(notice.channel), self._site, try_s=self._try_s)
            result = self._judge(notice, attempt, outcome)
            self._tell(notice, result[0])
            self._unrecorded.append(result)
        finally:
            self._running[notice.channel] -= 1

    def _judge(self, notice: Notice, attempt: int, outcome: Outcome) -> tuple[Receipt, int | None]:
        now_ms, status, detail, retry_at_ms = self._clock.now_ms(), outcome.status, outcome.detail, None
        if status is ReceiptStatus.FAILED:
            waited_ms = max(0, now_ms - notice.created_ms)
            follows = after_failure(
                notice.notice_id, notice.priority, attempt, waited_ms=waited_ms, asked_ms=outcome.asked_ms
            )
            if isinstance(follows, Later):
                retry_at_ms = now_ms + follows.wait_ms
            else:
                status, detail = ReceiptStatus.DEAD, f"{follows.reason}; the last one: {detail}"
        receipt = Receipt(
            notice_id=notice.notice_id, attempt=attempt, status=status, at_ms=now_ms, detail=detail[:_DETAIL]
        )
        return receipt, retry_at_ms

    def _tell(self, notice: Notice, receipt: Receipt) -> None:
        """Every dead notice is logged; of what works and fails in between, only the changes of a channel."""
        channel, status, detail = notice.channel, receipt.status, receipt.detail or ""
        if self._metrics is not None:
            self._metrics.count("vigil_notices_total", channel=channel, status=status)
        if status is ReceiptStatus.DEAD:
            _log.error(
                "a notice reached nobody",
                channel=channel,
                priority=notice.priority,
                notice=notice.notice_id,
                why=detail,
            )
        state = detail if status in (ReceiptStatus.FAILED, ReceiptStatus.DEAD) else ""
        if state != self._said.get(channel, ""):
            self._said[channel] = state
            if state and status is ReceiptStatus.FAILED:
                _log.warning("a channel does not take notices", channel=channel, why=state)
            elif not state:
                _log.info("a channel takes notices again", channel=channel)

    async def _record(self) -> bool:
        """Write the receipts that there are, all in one transaction. False where that could not be done now."""
        results = self._unrecorded[:]

        def record() -> bool:
            self._outbox.record_all(results)
            return True

        if results and await self._ask(record) is None:
            return False
        del self._unrecorded[: len(results)]
        return True

    async def _ask(self, question: Callable[[], _T]) -> _T | None:
        """The outbox's answer; None when its database does not answer: then nothing has changed."""
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._sql, question)
        except Retryable as away:
            if not self._sql_away:
                _log.warning("the outbox does not answer", why=away.message)
            self._sql_away = True
            return None
        if self._sql_away:
            _log.info("the outbox answers again")
        self._sql_away = False
        return answer
