"""REST: alarms, and what people do about them."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from api.asking import Actor, Cursor, Limit, TheNode, from_cursor, problems, to_cursor
from api.node import Node
from api.problems import Problem, invalid, not_found
from api.schema import (
    Acknowledge,
    Alarm,
    AlarmDetail,
    AlarmEvent,
    Alarms,
    Assign,
    Label,
    Resolve,
    Snooze,
)
from contracts.alarms import AlarmEvent as WireEvent
from contracts.alarms import Change, State
from contracts.lifecycle import Refused
from infra.runtime.sql.alarms import AlarmStore, Conflict
from infra.runtime.sql.episodes import Alarm as StoredAlarm

MINUTE_MS: Final = 60_000
_ETAG: Final = re.compile(r'"v(\d{1,9})"')


def _json_only(request: Request) -> None:
    """A body must say that it is JSON: a form of another site cannot."""
    headers = request.headers
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if has_body and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "not-json", "The body must be application/json.")


router = APIRouter(prefix="/api/v1/alarms", tags=["alarms"], dependencies=[Depends(_json_only)])

AlarmId = Annotated[str, Path(min_length=1, max_length=128)]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description='ETag of the alarm as you saw it, like "v3": 412 when it has changed.'),
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="A retry with the same key gives the first answer and changes nothing more.",
    ),
]


@router.get("", responses=problems(422, 503))
async def alarms(
    node: TheNode,
    state: Annotated[str | None, Query(max_length=100, description="States, separated by commas; default all.")] = None,
    patient: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Alarms:
    """Alarms, newest first."""
    states = _states(state)
    after = from_cursor(cursor)
    page = await node.stores.alarms(lambda s: s.page(states=states, patient=patient, cursor=after, limit=limit))
    return Alarms(items=[Alarm.of(a) for a in page.items], next=None if page.next is None else to_cursor(page.next))


@router.get("/{alarm_id}", responses=problems(404, 503))
async def alarm(node: TheNode, alarm_id: AlarmId, response: Response) -> AlarmDetail:
    """An alarm with everything that happened to it. The ETag is for `If-Match`."""

    def ask(store: AlarmStore) -> tuple[StoredAlarm | None, list[WireEvent]]:
        return store.get(alarm_id), store.events(alarm_id)

    found, events = await node.stores.alarms(ask)
    if found is None:
        raise not_found("alarm")
    shown = Alarm.of(found)
    response.headers["ETag"] = etag(shown)
    return AlarmDetail(**dict(shown), events=[AlarmEvent.of(e) for e in events])


_CHANGES: Final = problems(400, 403, 404, 409, 412, 415, 422, 503)


@router.post("/{alarm_id}/acknowledge", responses=_CHANGES)
async def acknowledge(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response,
    body: Acknowledge | None = None, if_match: IfMatch = None, key: Key = None,
) -> Alarm:  # fmt: skip
    """Say that the alarm was seen and is taken care of."""
    note = body.note if body else None
    return await _act(node, response, alarm_id, Change.ACKNOWLEDGED, actor, note, None, if_match, key)


@router.post("/{alarm_id}/resolve", responses=_CHANGES)
async def resolve(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response,
    body: Resolve | None = None, if_match: IfMatch = None, key: Key = None,
) -> Alarm:  # fmt: skip
    """Close the alarm, whatever its condition does."""
    note = body.note if body else None
    return await _act(node, response, alarm_id, Change.RESOLVED, actor, note, None, if_match, key)


@router.post("/{alarm_id}/snooze", responses=_CHANGES)
async def snooze(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response,
    body: Snooze, if_match: IfMatch = None, key: Key = None,
) -> Alarm:  # fmt: skip
    """Be quiet about it for some minutes, with a reason. A worsening ends it."""
    return await _act(node, response, alarm_id, Change.SNOOZED, actor, body.reason, body.minutes, if_match, key)


@router.post("/{alarm_id}/assign", responses=_CHANGES)
async def assign(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response,
    body: Assign, if_match: IfMatch = None, key: Key = None,
) -> Alarm:  # fmt: skip
    """Say who looks after it."""
    return await _act(node, response, alarm_id, Change.ASSIGNED, actor, body.to, None, if_match, key)


@router.post("/{alarm_id}/label", responses=_CHANGES)
async def label(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response,
    body: Label, if_match: IfMatch = None, key: Key = None,
) -> Alarm:  # fmt: skip
    """Say what the alarm was worth."""
    return await _act(node, response, alarm_id, Change.LABELLED, actor, body.label, None, if_match, key)


async def _act(
    node: Node,
    response: Response,
    alarm_id: str,
    change: Change,
    actor: str,
    note: str | None,
    minutes: int | None,
    if_match: str | None,
    key: str | None,
) -> Alarm:
    now_ms = node.clock.now_ms()
    expected = _expected(if_match)

    def ask(store: AlarmStore) -> tuple[WireEvent | Refused | Conflict, StoredAlarm | None]:
        answer = store.act(
            alarm_id,
            change,
            actor=actor,
            at_ms=now_ms,
            note=note,
            until_ms=None if minutes is None else now_ms + minutes * MINUTE_MS,
            expected_version=expected,
            idempotency_key=key,
        )
        return answer, store.get(alarm_id)

    answer, stored = await node.stores.alarms(ask)
    if stored is None:
        raise not_found("alarm")
    match answer:
        case Refused(reason=reason):
            raise Problem(409, "not-possible-now", f"This cannot be done now: {reason}.")
        case Conflict(kind="version"):
            raise Problem(
                412,
                "alarm-changed",
                f"The alarm has changed: it is at version {stored.version} now. Look at it again.",
                headers={"ETag": etag(Alarm.of(stored))},
            )
        case Conflict():
            raise Problem(
                422, "idempotency-key-reused", "This Idempotency-Key was used for another request; take a new one."
            )
    shown = node.acted(answer, stored)
    response.headers["ETag"] = etag(shown)
    return shown


def etag(alarm: Alarm) -> str:
    """The ETag of an alarm: its version."""
    return f'"v{alarm.version}"'


def _expected(if_match: str | None) -> int | None:
    """The version asked for; None: any. A tag that no alarm can have matches none."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match.strip())
    return int(found.group(1)) if found else -1


def _states(text: str | None) -> list[State] | None:
    if text is None:
        return None
    try:
        return [State(name) for name in text.split(",")]
    except ValueError:
        raise invalid("state", f"must be some of {', '.join(State)}, separated by commas") from None
