"""Notices: what a named person is told through one channel, and what became of it.

Routing and escalation decide who is told and write notices to the outbox (SQL, table `notices`), in the transaction of the step
that they belong to. The sender takes them from there, sends each through the notifier of its channel, and records receipts.
Delivery is at least once: the same notice carries the same id each time, so a receiver can recognise a repeat.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

from contracts.alarms import Lane, Priority, digest

# For how long a notice belongs to the sender that took it; after that another may take it.
LEASE_MS: Final = 30_000


class Channel(StrEnum):
    """The way to a person. PAGE: the inbox on the page and its live feed; everything that no other covers goes by APPRISE."""

    PAGE = "page"
    WEB_PUSH = "web_push"
    WEBHOOK = "webhook"
    EMAIL = "email"
    APPRISE = "apprise"


class NoticeKind(StrEnum):
    """Why somebody is told. ALARM: the first step of a call. REMINDER: the same step again, nobody has answered. ESCALATED: a
    later step. WORSE: the alarm has become more urgent. SYSTEM: about Vigil itself. TEST: a person tries a channel out."""

    ALARM = "alarm"
    REMINDER = "reminder"
    ESCALATED = "escalated"
    WORSE = "worse"
    SYSTEM = "system"
    TEST = "test"


class ReceiptStatus(StrEnum):
    """SENT: taken by the next machine on the way. DELIVERED: there. READ: the person has seen it. FAILED: not now, to be tried
    again. DEAD: given up; nobody was told by this notice."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    DEAD = "dead"


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Notice(_Wire):
    """One message to one person through one channel. `created_ms`: wall time, UTC.

    `address` is what the channel understands: a URL, an e-mail address, the JSON of a push subscription, and for PAGE the
    person's id. It may hold a secret, so it is never logged. `link` is an opaque path on our page. `text` tells of the patient
    and is only there where the site's policy allows that in a message; `unit` is the ward's name.
    """

    notice_id: str
    alarm_id: str | None  # None: about Vigil itself, or a test
    kind: NoticeKind
    priority: Priority
    lane: Lane
    person: str
    channel: Channel
    address: str = Field(max_length=4000)
    created_ms: int
    link: str = Field(max_length=300)
    unit: str | None = None
    text: str | None = Field(None, max_length=300)


class Receipt(_Wire):
    """What became of one attempt (counted from 1). `detail` is for whoever runs Vigil: no patient data, no secret."""

    notice_id: str
    attempt: int = Field(ge=0)
    status: ReceiptStatus
    at_ms: int
    detail: str | None = Field(None, max_length=500)


class NoticeOutbox(Protocol):
    """The sender's side of the outbox. Methods block: call them in a thread. Each raises `Retryable` when the database does not
    answer; nothing was changed then. Several senders may share one outbox."""

    def due(
        self, now_ms: int, limit: int, *, channels: Collection[Channel] | None = None, least: Priority = Priority.LOW
    ) -> list[tuple[Notice, int]]:
        """Take up to `limit` notices that are to be sent now, the most urgent first, and the number of each attempt.

        Only those of `channels` (None: of all) and of priority `least` or more: a channel that has as much as it can carry must
        not be given more, or its notices would keep those of others waiting.

        They are this sender's for `LEASE_MS`. What was not recorded by then is due again, with the next number: the sender
        may have died after sending.
        """
        ...

    def record(self, receipt: Receipt, retry_at_ms: int | None = None) -> None:
        """Keep what became of an attempt. `retry_at_ms` (wall time) belongs to FAILED: when to try again.

        SENT and DELIVERED end the sending; a later receipt of the same notice (SENT, then DELIVERED) may follow. DEAD ends it
        too, and escalation goes on at once where nobody else was told.
        """
        ...

    def record_all(self, results: Sequence[tuple[Receipt, int | None]]) -> None:
        """As `record` for each, in one transaction: in a storm the commits are what a database has least of."""
        ...

    def read(self, notice_id: str, person: str, at_ms: int) -> bool:
        """The person has seen the notice; False: there is no such notice to this person. Again changes nothing."""
        ...


def notice_id(alarm_id: str, call: int, step: int, reminder: int, person: str, channel: Channel, address: str) -> str:
    """Identity of a notice: the same step of the same call to the same place is the same notice, whoever writes it.

    `call` counts how often the alarm began to call anew; `reminder` is 0 for the step itself. The address belongs to it, since a
    person may have two telephones.
    """
    return digest("notice", alarm_id, call, step, reminder, person, channel, address)
