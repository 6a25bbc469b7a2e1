"""The answer to a canary's reading: what went through every rule comes out as an alarm event on a topic of its own.

It is not a rule, so no site can turn it off, and not an alarm: it is neither recorded in SQL nor shown to people. Pure.
"""

from __future__ import annotations

from typing import Final

from alerting.rows import Rows
from contracts.alarms import AlarmEvent, Change, Lane, Priority, State, alarm_id, digest
from contracts.canary import CONDITION
from contracts.topics import CANARY_ALARMS, CONTENT_TYPE, JSON
from infra.runtime.records import Output

_HEADERS: Final = ((CONTENT_TYPE, JSON.encode()),)


def newest_in_time(rows: Rows, slot: int, oldest_ms: int) -> tuple[int, int] | None:
    """Record and event time of the newest row of `slot` that is not late; None when there is none."""
    mine = (rows.slot == slot) & (rows.time_ms >= oldest_ms)
    if not mine.any():
        return None
    newest = int(rows.time_ms[mine].argmax())
    return int(rows.record[mine][newest]), int(rows.time_ms[mine][newest])


def answer(patient: str, time_ms: int, partition: int, rule_version: int) -> Output:
    """The event for a reading of `time_ms`; a repeated delivery has the same ids."""
    identity = alarm_id(patient, CONDITION, time_ms)
    event = AlarmEvent(
        event_id=digest("event", identity, Change.RAISED, time_ms, Priority.LOW),
        alarm_id=identity,
        change=Change.RAISED,
        state=State.ACTIVE,
        alarm_version=1,
        patient=patient,
        condition=CONDITION,
        rule_version=rule_version,
        lane=Lane.TECHNICAL,
        priority=Priority.LOW,
        text="Canary",
        onset_ms=time_ms,
        condition_ms=time_ms,
        at_ms=time_ms,
    )
    return Output(
        topic=CANARY_ALARMS.name, partition=partition, value=event.model_dump_json().encode(), key=patient.encode(),
        headers=_HEADERS,
    )  # fmt: skip
