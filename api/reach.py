"""REST: who was told of an alarm, through what, what became of it, and why somebody was not told."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.asking import Actor, Limit, TheNode, problems
from api.moments import rfc3339
from api.problems import not_found
from api.schema import Answer, Time
from contracts.alarms import Priority
from contracts.notices import Channel, NoticeKind, ReceiptStatus
from infra.runtime.sql.notices import Told

router = APIRouter(prefix="/api/v1", tags=["alarms"])


class ReceiptShown(Answer):
    """What became of one attempt, counted from 1. `detail` is for whoever runs Vigil."""

    attempt: int
    status: ReceiptStatus
    at: Time
    detail: str | None


class NoticeShown(Answer):
    """One message to one person. `call` counts how often the alarm began to call anew, `step` (from 1) is that of its plan, and
    `reminder` counts what was told after it. `status`: `pending` until the first receipt. Addresses are not shown."""

    id: str
    person: str
    channel: Channel
    kind: NoticeKind
    priority: Priority
    call: int
    step: int
    reminder: int
    created: Time
    why: str
    status: str
    attempts: int
    receipts: list[ReceiptShown]


class ReasonShown(Answer):
    """Why somebody, or nobody, was told."""

    call: int
    at: Time
    reason: str


class Notices(Answer):
    """The newest notices of an alarm, oldest first; `more`: there are older ones. All reasons, in the order of finding out."""

    items: list[NoticeShown]
    more: bool
    reasons: list[ReasonShown]


class Read(Answer):
    """The notice is read."""

    id: str
    status: ReceiptStatus


@router.get("/alarms/{alarm_id}/notices", responses=problems(404, 422, 503))
async def notices(
    node: TheNode, alarm_id: Annotated[str, Path(min_length=1, max_length=128)], limit: Limit = 100
) -> Notices:
    """Who was told of an alarm, when, through what, and what became of it."""
    if await node.stores.alarms(lambda store: store.get(alarm_id)) is None:
        raise not_found("alarm")
    told, why = await node.stores.notices(lambda outbox: outbox.of_alarm(alarm_id, limit + 1))
    reasons = [ReasonShown(call=w.number, at=rfc3339(w.at_ms), reason=w.reason) for w in why]
    return Notices(items=[_shown(one) for one in told[-limit:]], more=len(told) > limit, reasons=reasons)


@router.post("/notices/{notice_id}/read", responses=problems(403, 404, 422, 503))
async def read(node: TheNode, actor: Actor, notice_id: Annotated[str, Path(min_length=1, max_length=128)]) -> Read:
    """Say that you have seen a notice that was sent to you. Saying it again changes nothing; it stops no escalation."""
    if not await node.stores.notices(lambda outbox: outbox.read(notice_id, actor, node.clock.now_ms())):
        raise not_found("notice")
    return Read(id=notice_id, status=ReceiptStatus.READ)


def _shown(told: Told) -> NoticeShown:
    written, notice = told.written, told.written.notice
    return NoticeShown(
        id=notice.notice_id, person=notice.person, channel=notice.channel, kind=notice.kind, priority=notice.priority,
        call=written.number, step=written.step + 1, reminder=written.reminder, created=rfc3339(notice.created_ms),
        why=written.why, status=told.status, attempts=told.attempt,
        receipts=[
            ReceiptShown(attempt=r.attempt, status=r.status, at=rfc3339(r.at_ms), detail=r.detail) for r in told.receipts
        ],
    )  # fmt: skip
