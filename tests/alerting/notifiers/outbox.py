"""An outbox in memory, with a clock that goes on when there is nothing to do until later."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Mapping, Sequence

from alerting.notifiers.base import Notifier
from alerting.notifiers.body import Site
from alerting.notifiers.sender import Sender
from contracts.alarms import Lane, Priority, digest
from contracts.errors import Retryable
from contracts.notices import LEASE_MS, Channel, Notice, NoticeKind, Receipt, ReceiptStatus

BEGIN_MS = 1_772_359_200_000
_URGENCY = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}


def a_notice(channel: Channel, address: str, *, number: int = 1, priority: Priority = Priority.HIGH) -> Notice:
    """The notice of one alarm; `number` tells several apart."""
    alarm = digest("alarm", number)
    return Notice(
        notice_id=digest("notice", channel, address, number), alarm_id=alarm, kind=NoticeKind.ALARM, priority=priority,
        lane=Lane.PHYSIOLOGICAL, person="mira", channel=channel, address=address, created_ms=BEGIN_MS, link=f"/#/alarms/{alarm}",
        unit="Ward 3",
    )  # fmt: skip


class Memory:
    """The port `NoticeOutbox`. Once nothing runs and something waits, time goes on to when that is due."""

    def __init__(self, *notices: Notice) -> None:
        self.notices = {notice.notice_id: notice for notice in notices}
        self.receipts: list[Receipt] = []
        self.retries: list[int] = []  # how long after the try, in milliseconds
        self.away = 0  # so many questions from now on are not answered
        self.stop: asyncio.Event | None = None
        self._now_ms = BEGIN_MS
        self._due = dict.fromkeys(self.notices, BEGIN_MS)
        self._taken: dict[str, int] = dict.fromkeys(self.notices, 0)
        self._leased: set[str] = set()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, *notices: Notice) -> None:
        with self._lock:
            for notice in notices:
                self.notices[notice.notice_id] = notice
                self._due[notice.notice_id], self._taken[notice.notice_id] = self._now_ms, 0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_s(self) -> float:
        return self._now_ms / 1000

    def due(
        self, now_ms: int, limit: int, *, channels: Collection[Channel] | None = None, least: Priority = Priority.LOW
    ) -> list[tuple[Notice, int]]:
        with self._lock:
            self._answer()
            if self._due and not self._leased and min(self._due.values()) > self._now_ms:
                self._now_ms = min(self._due.values())
            ready = [
                n for i, n in self.notices.items()
                if self._due.get(i, now_ms + 1) <= self._now_ms and i not in self._leased
                and (channels is None or n.channel in channels) and _URGENCY[n.priority] <= _URGENCY[least]
            ]  # fmt: skip
            ready.sort(key=lambda n: _URGENCY[n.priority])
            for notice in ready[:limit]:
                self._leased.add(notice.notice_id)
                self._taken[notice.notice_id] += 1
            return [(n, self._taken[n.notice_id]) for n in ready[:limit]]

    def record_all(self, results: Sequence[tuple[Receipt, int | None]]) -> None:
        with self._lock:
            self._answer()
        for receipt, retry_at_ms in results:
            self.record(receipt, retry_at_ms)

    def record(self, receipt: Receipt, retry_at_ms: int | None = None) -> None:
        with self._lock:
            self.receipts.append(receipt)
            self._leased.discard(receipt.notice_id)
            if receipt.status is ReceiptStatus.FAILED:
                assert retry_at_ms is not None
                self.retries.append(retry_at_ms - receipt.at_ms)
                self._due[receipt.notice_id] = retry_at_ms
            else:
                assert retry_at_ms is None
                self._due.pop(receipt.notice_id, None)
            if not self._due and self.stop is not None and self._loop is not None:
                self._loop.call_soon_threadsafe(self.stop.set)

    def read(self, notice_id: str, person: str, at_ms: int) -> bool:
        return notice_id in self.notices

    def forget_lease(self, notice_id: str) -> None:
        """As after `LEASE_MS` without a receipt: it is due again."""
        with self._lock:
            self._now_ms += LEASE_MS
            self._leased.discard(notice_id)

    def statuses(self) -> list[ReceiptStatus]:
        return [receipt.status for receipt in self.receipts]

    async def send_all(self, notifiers: Mapping[Channel, Notifier], *, try_s: float = 10.0) -> None:
        """Run a sender until nothing is left to be sent."""
        self.stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        sender = Sender(self, notifiers, self, site=Site(url="https://vigil.example.org"), try_s=try_s)
        async with asyncio.timeout(20):
            await sender.run(self.stop)

    def _answer(self) -> None:
        if self.away > 0:
            self.away -= 1
            raise Retryable("The database does not answer.")
