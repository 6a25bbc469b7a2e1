"""REST: the audit log, page by page."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from api.asking import Cursor, Limit, TheNode, from_cursor, problems, strange_cursor, to_cursor
from api.moments import rfc3339
from api.schema import Answer, Time
from infra.runtime.sql.audit import Entry

router = APIRouter(prefix="/api/v1", tags=["audit"])


class AuditItem(Answer):
    """One entry of the audit log."""

    seq: int
    time: Time
    actor: str | None
    action: str
    operation: str
    patient: str | None
    object: str | None
    outcome: str
    reason: str | None
    session: str | None
    source: str | None
    times: int


class AuditPage(Answer):
    """Entries, newest first."""

    items: list[AuditItem]
    next: str | None


@router.get("/audit", responses=problems(401, 403, 422, 503))
async def audit(
    node: TheNode,
    actor: str | None = None,
    about: str | None = None,
    outcome: Literal["allowed", "denied", "failed"] | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> AuditPage:
    """Who has seen, changed and been denied what, newest first; `about`: a patient's key."""
    after = from_cursor(cursor)
    if after is not None and not (after.isascii() and after.isdecimal() and len(after) <= 18):
        raise strange_cursor()
    found = await node.stores.audit(
        lambda store: store.page(
            before_seq=None if after is None else int(after), limit=limit, actor=actor, patient=about, outcome=outcome
        )
    )
    items = [AuditItem(seq=seq, time=rfc3339(e.at_ms), **_fields(e)) for seq, e in found]
    return AuditPage(items=items, next=to_cursor(str(found[-1][0])) if len(found) == limit else None)


def _fields(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in AuditItem.model_fields if name not in ("seq", "time")}
