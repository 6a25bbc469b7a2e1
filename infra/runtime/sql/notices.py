"""The outbox of notices: written with the step that they belong to, taken by senders, and what became of each.

A receipt never makes less of a notice than is known already: what came through stays so, whatever a slower attempt says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, and_, exists, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from contracts.alarms import Lane, Priority
from contracts.notices import LEASE_MS, Channel, Notice, NoticeKind, Receipt, ReceiptStatus
from infra.runtime.sql.engine import reading, writing
from infra.runtime.sql.reach_tables import NOTICE_RECEIPTS, NOTICES, REACH_CALLS, REACH_REASONS, REACH_STATE

# No retry is further off than this; what seems to be was written under a clock that has been set back since.
FARTHEST_MS: Final = 3_600_000
_URGENCY: Final = {Priority.LOW: 1, Priority.MEDIUM: 2, Priority.HIGH: 3}
_PENDING: Final = "pending"
_WAITS: Final = (_PENDING, ReceiptStatus.FAILED.value)
_ORDER: Final = (_PENDING, *(s.value for s in (
    ReceiptStatus.FAILED, ReceiptStatus.DEAD, ReceiptStatus.SENT, ReceiptStatus.DELIVERED, ReceiptStatus.READ
)))  # fmt: skip
THROUGH: Final = (ReceiptStatus.SENT.value, ReceiptStatus.DELIVERED.value, ReceiptStatus.READ.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A notice, the telling that it belongs to (call, step, reminder), and why this person is told."""

    notice: Notice
    number: int
    step: int
    reminder: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A notice as it stands: `status` is `pending` or that of a receipt. Receipts in the order of their times."""

    written: Written
    status: str
    attempt: int
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why somebody was told of an alarm, or nobody; of call `number`."""

    number: int
    at_ms: int
    reason: str


class SqlOutbox:
    """The outbox in SQL (`contracts.notices.NoticeOutbox`), and what people ask of it. Thread-safe, for several processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def due(
        self, now_ms: int, limit: int, *, channels: Collection[Channel] | None = None, least: Priority = Priority.LOW
    ) -> list[tuple[Notice, int]]:
        """See `NoticeOutbox`."""
        waits = and_(_due(now_ms), NOTICES.c.urgency >= _URGENCY[least])
        if channels is not None:
            waits = and_(waits, NOTICES.c.channel.in_([channel.value for channel in channels]))
        with reading(self._engine) as connection:
            if connection.execute(select(NOTICES.c.notice_id).where(waits).limit(1)).first() is None:
                return []  # nothing to take the lock of all writers for
        with writing(self._engine) as connection:
            chosen = select(NOTICES).where(waits).order_by(NOTICES.c.urgency.desc(), NOTICES.c.created_ms).limit(limit)
            rows = connection.execute(chosen.with_for_update(skip_locked=True)).all()
            if rows:
                taken = NOTICES.c.notice_id.in_([row.notice_id for row in rows])
                connection.execute(
                    update(NOTICES).where(taken).values(attempt=NOTICES.c.attempt + 1, due_ms=now_ms + LEASE_MS)
                )
        return [(_notice(row._asdict()), row.attempt + 1) for row in rows]

    def record(self, receipt: Receipt, retry_at_ms: int | None = None) -> None:
        """See `NoticeOutbox`."""
        self.record_all([(receipt, retry_at_ms)])

    def record_all(self, results: Sequence[tuple[Receipt, int | None]]) -> None:
        """See `NoticeOutbox`."""
        with writing(self._engine) as connection:
            if len(results) > 1 and any(receipt.status is not ReceiptStatus.FAILED for receipt, _ in results):
                # The row that `_record` takes first, before the row of any notice.
                connection.execute(select(REACH_STATE.c.evidence).with_for_update()).all()
            for receipt, retry_at_ms in results:
                _record(connection, receipt, retry_at_ms)

    def read(self, notice_id: str, person: str, at_ms: int) -> bool:
        """See `NoticeOutbox`."""
        with writing(self._engine) as connection:
            found = connection.execute(select(NOTICES).where(NOTICES.c.notice_id == notice_id)).one_or_none()
            if found is None or found.person != person:
                return False
            if found.status != ReceiptStatus.READ.value:
                receipt = Receipt(notice_id=notice_id, attempt=found.attempt, status=ReceiptStatus.READ, at_ms=at_ms)
                _record(connection, receipt, None)
            return True

    def of_alarm(self, alarm_id: str, limit: int = 1000) -> tuple[list[Told], list[Why]]:
        """Who was told of an alarm (the newest `limit` notices), and why, in the order in which it came about."""
        ours = NOTICES.c.alarm_id == alarm_id
        with reading(self._engine) as connection:
            order = [NOTICES.c[n].desc() for n in ("number", "created_ms", "step", "reminder", "person", "channel", "notice_id")]
            rows = connection.execute(select(NOTICES).where(ours).order_by(*order).limit(limit)).all()[::-1]
            receipts: dict[str, list[Receipt]] = {}
            joined = select(NOTICE_RECEIPTS).join(NOTICES, NOTICES.c.notice_id == NOTICE_RECEIPTS.c.notice_id).where(ours)
            for row in connection.execute(joined.order_by(NOTICE_RECEIPTS.c.at_ms, NOTICE_RECEIPTS.c.attempt)):
                receipts.setdefault(row.notice_id, []).append(Receipt(**row._asdict()))
            reasons = select(REACH_REASONS).where(REACH_REASONS.c.alarm_id == alarm_id).order_by(REACH_REASONS.c.entry)
            why = [Why(number=row.number, at_ms=row.at_ms, reason=row.reason) for row in connection.execute(reasons)]
        told = [
            Told(
                written=Written(
                    notice=_notice(row._asdict()), number=row.number, step=row.step, reminder=row.reminder, why=row.why
                ),
                status=row.status, attempt=row.attempt, receipts=tuple(receipts.get(row.notice_id, ())),
            )
            for row in rows
        ]  # fmt: skip
        return told, why


def put(connection: Connection, written: Sequence[Written]) -> None:
    """Write notices inside the transaction of their steps; one that is there already is left as it is."""
    if written:
        connection.execute(_insert(connection, NOTICES).on_conflict_do_nothing(), [_row(one) for one in written])


def withdraw(connection: Connection, alarm_ids: Iterable[str], at_ms: int, why: str) -> None:
    """Give up what was not sent yet of these alarms: somebody has answered, or they are over."""
    waiting = NOTICES.c.alarm_id.in_(sorted(alarm_ids)) & NOTICES.c.status.in_(_WAITS)
    dead = ReceiptStatus.DEAD.value
    rows = connection.execute(
        update(NOTICES).where(waiting).values(status=dead).returning(NOTICES.c.notice_id, NOTICES.c.attempt)
    ).all()
    if rows:
        values = [{"notice_id": r.notice_id, "attempt": r.attempt, "status": dead, "at_ms": at_ms, "detail": why} for r in rows]
        connection.execute(_insert(connection, NOTICE_RECEIPTS).on_conflict_do_nothing(), values)


def _due(now_ms: int) -> Any:
    """What is to be sent now. What was never tried does not wait for any clock."""
    late = or_(NOTICES.c.due_ms <= now_ms, NOTICES.c.due_ms > now_ms + FARTHEST_MS)
    return and_(NOTICES.c.status.in_(_WAITS), or_(NOTICES.c.attempt == 0, late))


def _record(connection: Connection, receipt: Receipt, retry_at_ms: int | None) -> None:
    status = receipt.status.value
    # The row of `reach_state` first, as who writes steps does: two that want each other's rows would wait for ever.
    if receipt.status is not ReceiptStatus.FAILED:
        alarm = select(NOTICES.c.alarm_id).where(NOTICES.c.notice_id == receipt.notice_id).scalar_subquery()
        lost = exists().where(REACH_CALLS.c.alarm_id == alarm, REACH_CALLS.c.unreached)
        news = update(REACH_STATE).values(evidence=REACH_STATE.c.evidence + 1)
        connection.execute(news if receipt.status is ReceiptStatus.DEAD else news.where(lost))
    known = connection.execute(select(NOTICES.c.status).where(NOTICES.c.notice_id == receipt.notice_id)).scalar_one_or_none()
    if known is None:
        return
    connection.execute(
        _insert(connection, NOTICE_RECEIPTS).on_conflict_do_nothing(),
        [{**receipt.model_dump(), "status": status}],
    )
    below = NOTICES.c.status.in_(_ORDER[: _ORDER.index(status) + 1])
    due_ms = {"due_ms": retry_at_ms} if retry_at_ms is not None else {}
    connection.execute(update(NOTICES).where(NOTICES.c.notice_id == receipt.notice_id, below).values(status=status, **due_ms))


def _row(written: Written) -> dict[str, Any]:
    notice = written.notice
    return {
        **notice.model_dump(mode="json"), "number": written.number, "step": written.step, "reminder": written.reminder,
        "why": written.why, "urgency": _URGENCY[notice.priority], "status": _PENDING, "attempt": 0, "due_ms": notice.created_ms,
    }  # fmt: skip


def _notice(row: dict[str, Any]) -> Notice:
    return Notice(
        notice_id=row["notice_id"], alarm_id=row["alarm_id"], kind=NoticeKind(row["kind"]), priority=Priority(row["priority"]),
        lane=Lane(row["lane"]), person=row["person"], channel=Channel(row["channel"]), address=row["address"],
        created_ms=row["created_ms"], link=row["link"], unit=row["unit"], text=row["text"],
    )  # fmt: skip


def _insert(connection: Connection, table: Any) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
