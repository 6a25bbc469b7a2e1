"""One test notice through a channel, as the sender would send it, and what a person should do about what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from alerting.notifiers.opening import open_notifiers, site_of
from alerting.notifiers.retry import SCHEDULES
from alerting.notifiers.sender import send_once
from contracts.alarms import Lane, Priority, digest
from contracts.notices import Channel, Notice, NoticeKind, ReceiptStatus
from infra.runtime.clock import Clock, SystemClock
from infra.runtime.settings import Settings

_TAKEN: Final = frozenset({ReceiptStatus.SENT, ReceiptStatus.DELIVERED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of a test notice. `next`: what to do now."""

    notice_id: str
    status: ReceiptStatus
    detail: str
    next: str

    @property
    def taken(self) -> bool:
        return self.status in _TAKEN


async def run_trial(channel: Channel, address: str, settings: Settings, clock: Clock | None = None) -> Trial:
    """Send one test notice. Raises what `open_notifiers` does."""
    clock = clock or SystemClock()
    now_ms = clock.now_ms()
    notice = Notice(
        notice_id=digest("test", channel, address, now_ms), alarm_id=None, kind=NoticeKind.TEST, priority=Priority.LOW,
        lane=Lane.TECHNICAL, person="test", channel=channel, address=address, created_ms=now_ms, link="/",
    )  # fmt: skip
    notifiers = open_notifiers(settings, clock)
    try:
        outcome = await send_once(notice, notifiers.get(channel), site_of(settings))
    finally:
        for notifier in notifiers.values():
            await notifier.close()
    return Trial(notice_id=notice.notice_id, status=outcome.status, detail=outcome.detail, next=_next(outcome.status))


def _next(status: ReceiptStatus) -> str:
    match status:
        case ReceiptStatus.DELIVERED:
            return "nothing; the receiver has it"
        case ReceiptStatus.SENT:
            return "look whether it has arrived; the next machine on the way has it, and nobody can say more"
        case ReceiptStatus.FAILED:
            high = SCHEDULES[Priority.HIGH]
            return (
                "check that this machine reaches that one. An alarm of high priority would be tried "
                f"{high.tries} times within {high.total_ms // 1000} s before somebody else is told"
            )
        case _:
            return "change what is said above; it would not be tried again, and somebody else would be told at once"
