"""REST: alarms, and what people do about them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Header, Path, Query, Response

from api.alarm_records import as_it_was, etag
from api.alarm_requests import Acknowledge, AddNote, Assign, Close, Escalate, Handover, Label, Resolve, Snooze
from api.asking import (
    JSON_ONLY,
    UNCHANGED,
    Actor,
    Cursor,
    IfNoneMatch,
    Limit,
    TheNode,
    from_cursor,
    instant,
    problems,
    to_cursor,
    unchanged,
)
from api.node import Node
from api.permit import ThePermit
from api.problems import Problem, invalid, not_found
from api.schema import Alarm, AlarmDetail, AlarmEvent, Alarms, HandedOver
from contracts.alarms import AlarmEvent as WireEvent
from contracts.alarms import Change, State
from contracts.errors import InvalidInput
from contracts.lifecycle import Refused
from contracts.quiet import MINUTE_MS
from infra.runtime.sql.alarms import AlarmStore, Conflict
from infra.runtime.sql.episodes import Alarm as StoredAlarm
from infra.runtime.sql.episodes import rebuilt

_ETAG: Final = re.compile(r'"v(\d{1,9})"')


router = APIRouter(prefix="/api/v1/alarms", tags=["alarms"], dependencies=[JSON_ONLY])

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
        description="A retry of the same request with the same key gives the first answer and changes nothing more; another "
        "request with it is refused (422). Keys are yours alone, and known for the next 100,000 changes of alarms at least.",
    ),
]


@router.get("", responses=problems(422, 503))
async def alarms(
    node: TheNode,
    permit: ThePermit,
    state: Annotated[str | None, Query(max_length=100, description="States, separated by commas; default all.")] = None,
    patient: Annotated[str | None, Query(min_length=1, max_length=128)] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Alarms:
    """Alarms, newest first."""
    states = _states(state)
    after = from_cursor(cursor)
    page = await node.stores.alarms(
        lambda s: s.page(states=states, patient=patient, team=permit.theirs, cursor=after, limit=limit)
    )
    return Alarms(items=[Alarm.of(a) for a in page.items], next=None if page.next is None else to_cursor(page.next))


@router.get("/{alarm_id}", response_model=AlarmDetail, responses=problems(404, 422, 503) | UNCHANGED)
async def alarm(
    node: TheNode,
    alarm_id: AlarmId,
    response: Response,
    at: Annotated[
        str | None,
        Query(max_length=40, description="The alarm as it was at this time (RFC 3339), rebuilt from its events."),
    ] = None,
    if_none_match: IfNoneMatch = None,
) -> AlarmDetail | Response:
    """An alarm with everything that happened to it. The ETag is for `If-Match`; one of the past has none."""

    def ask(store: AlarmStore) -> tuple[StoredAlarm | None, list[WireEvent]]:
        return store.get(alarm_id), store.events(alarm_id)

    found, events = await node.stores.alarms(ask)
    if at is not None:
        past = as_it_was(events, instant(node, "at", at))
        if past is None:
            raise not_found("alarm at that time" if events else "alarm")
        return past
    if found is None:
        raise not_found("alarm")
    tag = etag(found.version)
    if (answer := unchanged(if_none_match, tag)) is not None:
        return answer
    response.headers["ETag"] = tag
    return AlarmDetail(**dict(Alarm.of(found)), events=[AlarmEvent.of(e) for e in events])


_CHANGES: Final = problems(400, 403, 404, 409, 412, 415, 422, 503)


@router.post("/{alarm_id}/acknowledge", responses=_CHANGES)
async def acknowledge(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response,
    body: Acknowledge | None = None, if_match: IfMatch = None, key: Key = None,
) -> Alarm:  # fmt: skip
    """Say that the alarm was seen and is taken care of. Ends by itself, by a worsening, or by an alarm the other way."""
    ask = Asked(Change.ACKNOWLEDGED, note=body.said if body else None, minutes=body.minutes if body else None)
    return await _act(node, response, alarm_id, ask, actor, if_match, key)


@router.post("/{alarm_id}/resolve", responses=_CHANGES)
async def resolve(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response,
    body: Resolve | None = None, if_match: IfMatch = None, key: Key = None,
) -> Alarm:  # fmt: skip
    """End the alarm, whatever its condition does. If the condition worsens after that, it is a new alarm."""
    ask = Asked(Change.RESOLVED, note=body.said if body else None)
    return await _act(node, response, alarm_id, ask, actor, if_match, key)


@router.post("/{alarm_id}/snooze", responses=_CHANGES)
async def snooze(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response,
    body: Snooze, if_match: IfMatch = None, key: Key = None,
) -> Alarm:  # fmt: skip
    """Be quiet about it for some minutes, with a reason. A worsening, or an alarm the other way, ends it."""
    ask = Asked(Change.SNOOZED, note=body.reason, minutes=body.minutes)
    return await _act(node, response, alarm_id, ask, actor, if_match, key)


@router.post("/{alarm_id}/assign", responses=_CHANGES)
async def assign(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response,
    body: Assign, if_match: IfMatch = None, key: Key = None,
) -> Alarm:  # fmt: skip
    """Say who looks after it."""
    ask = Asked(Change.ASSIGNED, note=body.reason or body.to, to=body.to)
    return await _act(node, response, alarm_id, ask, actor, if_match, key)


@router.post("/{alarm_id}/escalate", responses=_CHANGES)
async def escalate(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response,
    body: Escalate | None = None, if_match: IfMatch = None, key: Key = None,
) -> Alarm:  # fmt: skip
    """Ask for help: whoever is next is told at once, and an acknowledgement or snooze is over."""
    ask = Asked(Change.ESCALATED, note=body.reason if body else None)
    return await _act(node, response, alarm_id, ask, actor, if_match, key)


@router.post("/{alarm_id}/label", responses=_CHANGES)
async def label(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response,
    body: Label, if_match: IfMatch = None, key: Key = None,
) -> Alarm:  # fmt: skip
    """Say what the alarm was worth, at any time."""
    return await _act(node, response, alarm_id, Asked(Change.LABELLED, note=body.label), actor, if_match, key)


@router.post("/{alarm_id}/note", responses=_CHANGES)
async def note(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response,
    body: AddNote, if_match: IfMatch = None, key: Key = None,
) -> Alarm:  # fmt: skip
    """Keep something to remember with the alarm, at any time."""
    return await _act(node, response, alarm_id, Asked(Change.NOTED, note=body.note), actor, if_match, key)


@router.post("/{alarm_id}/close", responses=_CHANGES)
async def close(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response,
    body: Close | None = None, if_match: IfMatch = None, key: Key = None,
) -> Alarm:  # fmt: skip
    """Say that the alarm is reviewed. Only what calls nobody any more can be closed."""
    ask = Asked(Change.CLOSED, note=body.reason if body else None)
    return await _act(node, response, alarm_id, ask, actor, if_match, key)


@router.post("/{alarm_id}/undo", responses=_CHANGES)
async def undo(
    node: TheNode, actor: Actor, alarm_id: AlarmId, response: Response, if_match: IfMatch = None, key: Key = None
) -> Alarm:
    """Take back what you yourself did to the alarm last, within a few seconds.

    `undo_seconds` of the policy says how many. For an acknowledgement, a snooze, an assignment and a label, when nothing has
    happened to the alarm since. Both changes stay in its history. What has ended the alarm stays ended.
    """
    now_ms, expected = node.clock.now_ms(), version_asked(if_match)
    return await _change(
        node,
        response,
        alarm_id,
        lambda s: s.take_back(alarm_id, actor=actor, at_ms=now_ms, expected_version=expected, idempotency_key=key),
    )


@router.post("/handover", responses=problems(400, 403, 415, 422, 503))
async def handover(node: TheNode, permit: ThePermit, actor: Actor, body: Handover, key: Key = None) -> HandedOver:
    """Hand every open alarm that is assigned to one person over to another: all of them, or none. Alarms of patients whom the
    caller may not care for stay where they are."""
    now_ms = node.clock.now_ms()

    def ask(store: AlarmStore) -> tuple[list[WireEvent] | Conflict, list[StoredAlarm]]:
        answer = store.hand_over(
            body.from_, body.to, actor=actor, at_ms=now_ms, note=body.reason, idempotency_key=key, team=permit.theirs
        )
        ids = [] if isinstance(answer, Conflict) else [event.alarm_id for event in answer]
        return answer, store.several(ids)

    answer, stored = await node.stores.alarms(ask)
    if isinstance(answer, Conflict):
        raise reused()
    by_id = {alarm.alarm_id: alarm for alarm in stored}
    items = [await _answer(node, event, by_id[event.alarm_id]) for event in answer]
    return HandedOver(**{"from": body.from_}, to=body.to, items=items)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks for. `minutes`: for how long to be quiet."""

    change: Change
    note: str | None = None
    to: str | None = None
    minutes: int | None = None


async def _act(
    node: Node, response: Response, alarm_id: str, asked: Asked, actor: str, if_match: str | None, key: str | None
) -> Alarm:
    now_ms = node.clock.now_ms()
    expected = version_asked(if_match)

    def act(store: AlarmStore) -> WireEvent | Refused | Conflict:
        return store.act(
            alarm_id,
            asked.change,
            actor=actor,
            at_ms=now_ms,
            note=asked.note,
            to=asked.to,
            until_ms=None if asked.minutes is None else now_ms + asked.minutes * MINUTE_MS,
            expected_version=expected,
            idempotency_key=key,
        )

    return await _change(node, response, alarm_id, act)


async def _change(
    node: Node, response: Response, alarm_id: str, act: Callable[[AlarmStore], WireEvent | Refused | Conflict]
) -> Alarm:
    """The alarm after what a person did to it; a problem that says why it was not done."""

    def ask(store: AlarmStore) -> tuple[WireEvent | Refused | Conflict, StoredAlarm | None]:
        return act(store), store.get(alarm_id)

    try:
        answer, stored = await node.stores.alarms(ask)
    except InvalidInput as error:
        raise invalid("minutes" if error.field == "until" else error.field, error.reason) from None
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
                headers={"ETag": etag(stored.version)},
            )
        case Conflict():
            raise reused()
    shown = await _answer(node, answer, stored)
    response.headers["ETag"] = etag(shown.version)
    return shown


async def _answer(node: Node, event: WireEvent, stored: StoredAlarm) -> Alarm:
    """The alarm right after the change that was asked for: where it has changed again, or the request is an old one sent anew,
    as it was then. Viewers here are shown it as it is."""
    shown = node.acted(event, stored)
    if shown.version == event.alarm_version:
        return shown
    events = await node.stores.alarms(lambda s: s.events(event.alarm_id))
    then = rebuilt(events[: event.alarm_version])
    return shown if then is None else Alarm.of(then)


def reused() -> Problem:
    """An idempotency key that this person used for something else."""
    return Problem(422, "idempotency-key-reused", "This Idempotency-Key was used for another request; take a new one.")


def version_asked(if_match: str | None) -> int | None:
    """The version that `If-Match` names; None: any. A tag that no alarm can have matches none."""
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
