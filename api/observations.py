"""REST: what people observe at the bedside. Readings like any other, through Kafka; who took them, and notes, are kept in SQL."""

from __future__ import annotations

import json
from typing import Any, Final, Self

from fastapi import APIRouter
from pydantic import Field, model_validator

from api.alarm_requests import Note
from api.asking import (
    DAY_MS,
    JSON_ONLY,
    Actor,
    Cursor,
    Limit,
    TheNode,
    from_cursor,
    instant,
    problems,
    span,
    strange_cursor,
    to_cursor,
)
from api.moments import rfc3339
from api.patients import From, PatientKey, To, need
from api.problems import Problem, invalid
from api.schema import Answer, Body, FieldError, Time
from api.versions import Key, reused
from contracts.manual import DEVICE, MOST_OBSERVATIONS, MOST_READINGS, seq_of
from contracts.partitioning import partition_of
from contracts.reading_json import parse_readings
from contracts.readings import Readings, encode_readings, judge
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, READINGS
from contracts.vitals import BY_NAME, CATALOGUE
from infra.runtime.records import Output
from infra.runtime.sql.observations import Observation as StoredObservation
from infra.runtime.sql.observations import Reused

OLDEST_MS: Final = DAY_MS
SEND_S: Final = 6.0

router = APIRouter(prefix="/api/v1/patients/{patient}/observations", tags=["observations"], dependencies=[JSON_ONLY])


class ManualReading(Body):
    """One value, in a unit that the catalogue knows for its metric (UCUM). `consciousness` is a whole number: 0 alert,
    1 new confusion, 2 voice, 3 pain, 4 unresponsive."""

    metric: str = Field(max_length=64)
    value: float
    unit: str = Field(max_length=32)


class Observe(Body):
    """What one person observed at one time; by default now. Values, a note, or both. A value taken earlier is kept and shown;
    only one taken now can raise an alarm."""

    taken: str | None = Field(None, max_length=40, json_schema_extra={"format": "date-time"})
    readings: list[ManualReading] = Field(default_factory=list, max_length=MOST_READINGS)
    note: Note | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.readings and self.note is None:
            raise ValueError("give at least one reading, or a note")
        names = [reading.metric for reading in self.readings]
        if len(set(names)) != len(names):
            raise ValueError("readings: a metric may stand in it once")
        return self


class ObservedValue(Answer):
    """A value in the catalogue's unit."""

    metric: str
    value: float
    unit: str


class Observation(Answer):
    """What one person observed at one time. `device` is the one under which its readings stand in the stream."""

    id: int
    patient: str
    author: str
    taken: Time
    recorded: Time
    readings: list[ObservedValue]
    note: str | None
    device: str

    @classmethod
    def of(cls, stored: StoredObservation) -> Observation:
        return cls(
            id=stored.number,
            patient=stored.patient,
            author=stored.author,
            taken=rfc3339(stored.taken_ms),
            recorded=rfc3339(stored.recorded_ms),
            readings=[
                ObservedValue(metric=m, value=v, unit=BY_NAME[m].unit) for m, v in stored.readings if m in BY_NAME
            ],
            note=stored.note,
            device=DEVICE,
        )


class Observations(Answer):
    """A page of observations, newest first; `next` is the cursor of the following page."""

    items: list[Observation]
    next: str | None


@router.post("", status_code=201, responses=problems(400, 404, 415, 422, 503))
async def observe(node: TheNode, actor: Actor, patient: PatientKey, body: Observe, key: Key = None) -> Observation:
    """Write down what was observed. Answered when the stream has its readings: they are judged like those of a device."""
    need(node, patient)
    now_ms = node.clock.now_ms()
    taken_ms = now_ms if body.taken is None else instant(node, "taken", body.taken)
    if taken_ms < now_ms - OLDEST_MS:
        raise invalid("taken", "must be within the last 24 hours")
    readings = _checked(body, patient, now_ms, taken_ms)
    observation = StoredObservation(
        patient=patient, author=actor, taken_ms=taken_ms, recorded_ms=now_ms, note=body.note,
        readings=_pairs(readings),
    )  # fmt: skip
    stored = await node.stores.observations(lambda s: s.add(observation, taken=body.taken, key=key))
    if isinstance(stored, Reused):
        raise reused()
    if stored.number > MOST_OBSERVATIONS:
        raise Problem(503, "full", "No further observation can be numbered.")
    if stored.sent_ms is None:
        numbered = _checked(body, patient, stored.recorded_ms, stored.taken_ms, stored.number)
        if numbered is not None:
            await node.deliver([_output(patient, numbered)], deadline_s=SEND_S)
        await node.stores.observations(lambda s: s.sent(stored.number, now_ms))
    return Observation.of(stored)


@router.get("", responses=problems(404, 422, 503))
async def observations(
    node: TheNode, patient: PatientKey, from_: From = None, to: To = None, cursor: Cursor = None, limit: Limit = 100
) -> Observations:
    """What people observed in a span of time, the last day by default; newest first."""
    need(node, patient)
    from_ms, to_ms = span(node, from_, to, default_ms=DAY_MS)
    after = _place(from_cursor(cursor))
    page = await node.stores.observations(
        lambda s: s.page(patient, from_ms, to_ms + (1 if to is None else 0), after=after, limit=limit)
    )
    following = None if page.next is None else to_cursor(f"{page.next[0]}:{page.next[1]}")
    return Observations(items=[Observation.of(item) for item in page.items], next=following)


def _checked(body: Observe, patient: str, received_ms: int, taken_ms: int, number: int = 0) -> Readings | None:
    """The readings as a device would have sent them, by the rules of the edge. A person can correct what a device cannot, so a
    value that no living body has is refused, and not kept as a bad one. None: there are none."""
    if not body.readings:
        return None
    document: list[dict[str, Any]] = [
        {
            "patient": patient,
            "device": DEVICE,
            "metric": reading.metric,
            "value": reading.value,
            "unit": reading.unit,
            "time": rfc3339(taken_ms),
            "boot": 0,
            "seq": seq_of(number, place),
        }
        for place, reading in enumerate(body.readings)
    ]
    parsed = parse_readings(json.dumps(document).encode(), received_ms=received_ms)
    errors = [FieldError(field=f"readings.{r.index}.{r.field}", reason=r.reason) for r in parsed.rejected]
    judged = judge(parsed.readings)
    for row in judged.rows[judged.implausible].tolist():
        vital = BY_NAME[body.readings[parsed.rows[row]].metric]
        reason = f"must be {vital.hard_low:g} to {vital.hard_high:g} {vital.unit} for {vital.label}"
        errors.append(FieldError(field=f"readings.{parsed.rows[row]}.value", reason=reason))
    for place, reading in enumerate(body.readings):
        if reading.metric == "consciousness" and reading.value != int(reading.value):
            errors.append(
                FieldError(field=f"readings.{place}.value", reason="must be a whole number from 0 (alert) to 4")
            )
    if errors:
        raise Problem(422, "invalid-request", f"{errors[0].field}: {errors[0].reason}", errors=errors)
    return judged.accepted


def _pairs(readings: Readings | None) -> tuple[tuple[str, float], ...]:
    """Metric and value; the stream's numbers have seven digits."""
    if readings is None:
        return ()
    columns = zip(readings.metric.tolist(), readings.value.tolist(), strict=True)
    return tuple((CATALOGUE[metric].name, round(value, 4)) for metric, value in columns)


def _output(patient: str, readings: Readings) -> Output:
    return Output(
        topic=READINGS.name,
        partition=partition_of(patient, READINGS.partitions),
        value=encode_readings(readings),
        key=patient.encode(),
        headers=((CONTENT_TYPE, ARROW_FRAME.encode()),),
    )


def _place(key: str | None) -> tuple[int, int] | None:
    if key is None:
        return None
    at_ms, _, number = key.partition(":")
    if not (at_ms.isdecimal() and number.isdecimal() and len(key) <= 40):
        raise strange_cursor()
    return int(at_ms), int(number)
