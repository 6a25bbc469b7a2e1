"""The rows under the alarm store: the feed's lock and numbers, events and alarms by id, and one way to write them.

Every function runs inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from contracts.alarms import AlarmEvent
from infra.runtime.sql.episodes import Alarm
from infra.runtime.sql.grouping import follow
from infra.runtime.sql.models import ALARM_EVENTS, ALARMS, FEED


class RacedError(Exception):
    """Somebody changed the alarm between our read and our write: roll back and look again."""


def lock_feed(connection: Connection) -> int:
    """Take the feed until the transaction ends; its newest number."""
    statement = update(FEED).where(FEED.c.id == 1).values(last_seq=FEED.c.last_seq).returning(FEED.c.last_seq)
    return int(connection.execute(statement).scalar_one())


def write_changes(
    connection: Connection, before: dict[str, Alarm], after: dict[str, Alarm], events: Sequence[AlarmEvent]
) -> list[AlarmEvent]:
    """Write the alarms that differ, the events, the episodes, and the feed's new end. The events as they are stored: with the
    episode of their alarm."""
    joined = follow(connection, before, events)
    after = {alarm_id: replace(alarm, episode_id=joined[alarm_id]) if alarm_id in joined else alarm
             for alarm_id, alarm in after.items()}  # fmt: skip
    stored = [event.model_copy(update={"episode_id": after[event.alarm_id].episode_id}) for event in events]
    new = [alarm.row() for alarm_id, alarm in after.items() if alarm_id not in before]
    if new:
        connection.execute(insert(ALARMS), new)
    for alarm_id, old in before.items():
        alarm = after[alarm_id]
        if alarm is old:
            continue
        row = alarm.row()
        unchanged = (ALARMS.c.alarm_id == row.pop("alarm_id")) & (ALARMS.c.version == old.version)
        if connection.execute(update(ALARMS).where(unchanged).values(**row)).rowcount != 1:
            raise RacedError
    connection.execute(
        insert(ALARM_EVENTS),
        [
            {
                "feed_seq": event.feed_seq,
                "event_id": event.event_id,
                "alarm_id": event.alarm_id,
                "alarm_version": event.alarm_version,
                "change": event.change.value,
                "document": event.model_dump_json(),
            }
            for event in stored
        ],
    )
    connection.execute(update(FEED).where(FEED.c.id == 1).values(last_seq=events[-1].feed_seq))
    return stored


def as_stored(event: AlarmEvent, after: Alarm) -> AlarmEvent:
    """`event` with the state, version and number that it led to."""
    return event.model_copy(update={"state": after.state, "alarm_version": after.version, "feed_seq": after.feed_seq})


def stored_events(connection: Connection, event_ids: Iterable[str]) -> dict[str, AlarmEvent]:
    """Those of the events that are recorded, by event id."""
    statement = select(ALARM_EVENTS.c.document).where(ALARM_EVENTS.c.event_id.in_(sorted(event_ids)))
    events = [parse_event(document) for document in connection.execute(statement).scalars()]
    return {event.event_id: event for event in events}


def events_of(connection: Connection, alarm_id: str) -> list[AlarmEvent]:
    """Everything that happened to one alarm, oldest first."""
    statement = select(ALARM_EVENTS.c.document).where(ALARM_EVENTS.c.alarm_id == alarm_id)
    return [parse_event(d) for d in connection.execute(statement.order_by(ALARM_EVENTS.c.alarm_version)).scalars()]


def parse_event(document: str) -> AlarmEvent:
    """The event that `document` holds."""
    return AlarmEvent.model_validate_json(document)


def alarms_by_id(connection: Connection, alarm_ids: Iterable[str]) -> dict[str, Alarm]:
    """Those of the alarms that exist, by alarm id."""
    found = found_alarms(connection, select(ALARMS).where(ALARMS.c.alarm_id.in_(sorted(alarm_ids))))
    return {alarm.alarm_id: alarm for alarm in found}


def found_alarms(connection: Connection, statement: Select[Any]) -> list[Alarm]:
    """The alarms that `statement`, a select of whole rows, gives."""
    return [Alarm.of_row(row._asdict()) for row in connection.execute(statement)]
