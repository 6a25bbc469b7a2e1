"""REST: who looks after which patient. Open alarms are theirs at once, and what begins later is theirs too, until a time."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from pydantic import Field

from api.alarm_requests import PersonName
from api.asking import HOUR_MS, JSON_ONLY, Actor, Cursor, Limit, TheNode, from_cursor, problems, to_cursor
from api.moments import rfc3339
from api.patients import PatientKey, need
from api.permit import ThePermit
from api.schema import Alarm, Answer, Body, Time
from contracts.alarms import AlarmEvent as WireEvent
from infra.runtime.sql.alarms import AlarmStore
from infra.runtime.sql.carers import Carer as StoredCarer
from infra.runtime.sql.episodes import Alarm as StoredAlarm

# A shift. Nobody looks after anybody without an end: who has gone home would be told of alarms for ever.
SHIFT_HOURS: Final = 12
MOST_HOURS: Final = 24

router = APIRouter(prefix="/api/v1", tags=["alarms"], dependencies=[JSON_ONLY])


class LookAfter(Body):
    """Who looks after the patient from now on, and for how long: a shift of twelve hours by default."""

    to: PersonName
    hours: int = Field(SHIFT_HOURS, ge=1, le=MOST_HOURS)


class Carer(Answer):
    """`person` looks after `patient` until a time. `assigned_by` has said so."""

    patient: str
    person: str
    assigned_by: str
    since: Time
    until: Time

    @classmethod
    def of(cls, stored: StoredCarer) -> Carer:
        return cls(
            patient=stored.patient,
            person=stored.person,
            assigned_by=stored.assigned_by,
            since=rfc3339(stored.since_ms),
            until=rfc3339(stored.until_ms),
        )


class Carers(Answer):
    """A page of patients with somebody who looks after them, by patient; `next` is the cursor of the following page."""

    items: list[Carer]
    next: str | None


class LookedAfter(Answer):
    """Who looks after the patient now, and the open alarms that changed hands."""

    carer: Carer
    alarms: list[Alarm]


@router.get("/carers", responses=problems(422, 503))
async def carers(node: TheNode, permit: ThePermit, cursor: Cursor = None, limit: Limit = 500) -> Carers:
    """Who looks after whom, until when. Patients of whom nobody has said so are not in it."""
    after, now_ms = from_cursor(cursor), node.clock.now_ms()
    found = await node.stores.alarms(lambda s: s.carers(now_ms, after=after, limit=limit + 1, team=permit.theirs))
    following = to_cursor(found[limit - 1].patient) if len(found) > limit else None
    return Carers(items=[Carer.of(one) for one in found[:limit]], next=following)


@router.put("/patients/{patient}/carer", responses=problems(404, 415, 422, 503))
async def look_after(node: TheNode, actor: Actor, patient: PatientKey, body: LookAfter) -> LookedAfter:
    """Say who looks after the patient. Every open alarm of theirs is assigned, and so is each that begins before the end."""
    need(node, patient)
    now_ms = node.clock.now_ms()
    carer = StoredCarer(
        patient=patient, person=body.to, assigned_by=actor, since_ms=now_ms, until_ms=now_ms + body.hours * HOUR_MS
    )

    def ask(store: AlarmStore) -> tuple[list[WireEvent], list[StoredAlarm]]:
        events = store.look_after(carer)
        return events, store.several([event.alarm_id for event in events])

    events, stored = await node.stores.alarms(ask)
    by_id = {alarm.alarm_id: alarm for alarm in stored}
    moved = [node.acted(event, by_id[event.alarm_id]) for event in events]
    return LookedAfter(carer=Carer.of(carer), alarms=moved)


@router.delete("/patients/{patient}/carer", status_code=204, responses=problems(404, 422, 503))
async def leave(node: TheNode, patient: PatientKey) -> None:
    """Say that nobody in particular looks after the patient any more. Open alarms stay whose they are."""
    need(node, patient)
    await node.stores.alarms(lambda s: s.leave(patient))
