"""REST: alarms, and what people do about them."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from api.acting import AlarmId, TheActing, right_after
from api.alarm_records import as_it_was
from api.alarm_requests import Acknowledge, AddNote, Assign, Close, Escalate, Handover, Label, Resolve, Snooze
from api.asking import JSON_ONLY, Actor, Cursor, Limit, TheNode, from_cursor, instant, problems, to_cursor
from api.permit import ThePermit
from api.problems import invalid, not_found
from api.schema import Alarm, AlarmDetail, AlarmEvent, Alarms, HandedOver
from api.versions import UNCHANGED, IfNoneMatch, Key, etag, reused, unchanged
from contracts.alarms import AlarmEvent as WireEvent
from contracts.alarms import Change, State
from infra.runtime.sql.alarms import AlarmStore, Conflict
from infra.runtime.sql.episodes import Alarm as StoredAlarm

router = APIRouter(prefix="/api/v1/alarms", tags=["alarms"], dependencies=[JSON_ONLY])


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
        str | None, Query(max_length=40, description="The alarm as it was at this time (RFC 3339), rebuilt from its events.")
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
async def acknowledge(acting: TheActing, body: Acknowledge | None = None) -> Alarm:
    """Say that the alarm was seen and is taken care of. Ends by itself, by a worsening, or by an alarm the other way."""
    return await acting.make(Change.ACKNOWLEDGED, note=body.said if body else None, minutes=body.minutes if body else None)


@router.post("/{alarm_id}/resolve", responses=_CHANGES)
async def resolve(acting: TheActing, body: Resolve | None = None) -> Alarm:
    """End the alarm, whatever its condition does. If the condition worsens after that, it is a new alarm."""
    return await acting.make(Change.RESOLVED, note=body.said if body else None)


@router.post("/{alarm_id}/snooze", responses=_CHANGES)
async def snooze(acting: TheActing, body: Snooze) -> Alarm:
    """Be quiet about it for some minutes, with a reason. A worsening, or an alarm the other way, ends it."""
    return await acting.make(Change.SNOOZED, note=body.reason, minutes=body.minutes)


@router.post("/{alarm_id}/assign", responses=_CHANGES)
async def assign(acting: TheActing, body: Assign) -> Alarm:
    """Say who looks after it."""
    return await acting.make(Change.ASSIGNED, note=body.reason or body.to, to=body.to)


@router.post("/{alarm_id}/escalate", responses=_CHANGES)
async def escalate(acting: TheActing, body: Escalate | None = None) -> Alarm:
    """Ask for help: whoever is next is told at once, and an acknowledgement or snooze is over."""
    return await acting.make(Change.ESCALATED, note=body.reason if body else None)


@router.post("/{alarm_id}/label", responses=_CHANGES)
async def label(acting: TheActing, body: Label) -> Alarm:
    """Say what the alarm was worth, at any time."""
    return await acting.make(Change.LABELLED, note=body.label)


@router.post("/{alarm_id}/note", responses=_CHANGES)
async def note(acting: TheActing, body: AddNote) -> Alarm:
    """Keep something to remember with the alarm, at any time."""
    return await acting.make(Change.NOTED, note=body.note)


@router.post("/{alarm_id}/close", responses=_CHANGES)
async def close(acting: TheActing, body: Close | None = None) -> Alarm:
    """Say that the alarm is reviewed. Only what calls nobody any more can be closed."""
    return await acting.make(Change.CLOSED, note=body.reason if body else None)


@router.post("/{alarm_id}/undo", responses=_CHANGES)
async def undo(acting: TheActing) -> Alarm:
    """Take back what you yourself did to the alarm last, within a few seconds.

    `undo_seconds` of the policy says how many. For an acknowledgement, a snooze, an assignment and a label, when nothing has
    happened to the alarm since. Both changes stay in its history. What has ended the alarm stays ended.
    """
    return await acting.take_back()


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
    items = [await right_after(node, event, by_id[event.alarm_id]) for event in answer]
    return HandedOver(**{"from": body.from_}, to=body.to, items=items)


def _states(text: str | None) -> list[State] | None:
    if text is None:
        return None
    try:
        return [State(name) for name in text.split(",")]
    except ValueError:
        raise invalid("state", f"must be some of {', '.join(State)}, separated by commas") from None
