"""The stream's changes on their way into SQL: recorded once, whoever sends them and however often. See `AlarmStore.record`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from contracts.alarms import BEGINNINGS, CALLS, STREAM_CHANGES, AlarmEvent
from contracts.lifecycle import Refused
from infra.runtime.sql.carers import BEGINS, carers_for
from infra.runtime.sql.episodes import Alarm, advance
from infra.runtime.sql.feed import alarms_by_id, as_stored, lock_feed, stored_events, write_changes
from infra.runtime.sql.patients import ensure_patients
from infra.runtime.sql.personal import broken_by, given_to, quiet_opposites


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """`event` as SQL keeps it: true `state`, `alarm_version` and `feed_seq`. `repeated`: it was there before this call.
    `assigned`: to whom it was given, where somebody looks after the patient. `broke`: what it ended of the quiet that people had
    given to the opposite direction."""

    event: AlarmEvent
    repeated: bool
    assigned: tuple[AlarmEvent, ...] = ()
    broke: tuple[AlarmEvent, ...] = ()

    @property
    def told(self) -> tuple[AlarmEvent, ...]:
        """The change and all that came of it, in the order of the feed."""
        return (self.event, *self.assigned, *self.broke)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """`event`, as it was given, changes nothing: the life cycle refuses it, for `reason`."""

    event: AlarmEvent
    reason: str


def record(events: Sequence[AlarmEvent], connection: Connection) -> list[Recorded | Dropped]:
    """Record `events` in one transaction, in order; the answer has one entry for each."""
    seq = lock_feed(connection)
    stored = stored_events(connection, {event.event_id for event in events})
    before = alarms_by_id(connection, {event.alarm_id for event in events})
    opposites = quiet_opposites(connection, (event for event in events if event.event_id not in stored))
    carers = carers_for(connection, (event for event in events if event.event_id not in stored))
    before |= {alarm.alarm_id: alarm for alarms in opposites.values() for alarm in alarms}
    after = dict(before)
    fresh: list[AlarmEvent] = []
    results: list[Recorded | Dropped] = []
    for event in events:
        if (known := stored.get(event.event_id)) is not None:
            results.append(Recorded(event=known, repeated=True))
            continue
        if event.change not in STREAM_CHANGES:
            results.append(Dropped(event=event, reason=f"{event.change} is a change that people make"))
            continue
        alarm = advance(after.get(event.alarm_id), event, seq + 1)
        if isinstance(alarm, Refused):
            results.append(Dropped(event=event, reason=alarm.reason))
            continue
        seq += 1
        after[event.alarm_id] = alarm
        recorded = as_stored(event, alarm)
        stored[event.event_id] = recorded
        fresh.append(recorded)
        assigned: tuple[AlarmEvent, ...] = ()
        carer = carers.get(event.patient) if event.change in BEGINS else None
        if carer is not None and event.at_ms < carer.until_ms and alarm.assigned_to != carer.person:
            given = given_to(alarm, carer.person, carer.assigned_by, event)
            theirs = advance(alarm, given, seq + 1)
            if isinstance(theirs, Alarm):
                seq += 1
                after[event.alarm_id] = theirs
                assigned = (as_stored(given, theirs),)
        fresh += assigned
        broke: list[AlarmEvent] = []
        for quiet in opposites.get((event.patient, event.condition), ()) if event.change in CALLS else ():
            broken = broken_by(after[quiet.alarm_id], event)
            loud = advance(after[quiet.alarm_id], broken, seq + 1)
            if isinstance(loud, Alarm):
                seq += 1
                after[quiet.alarm_id] = loud
                broke.append(as_stored(broken, loud))
        fresh += broke
        results.append(Recorded(event=recorded, repeated=False, assigned=assigned, broke=tuple(broke)))
    if fresh:
        ensure_patients(connection, sorted({event.patient for event in fresh if event.change in BEGINNINGS}))
        stored = {event.event_id: event for event in write_changes(connection, before, after, fresh)}
        results = [
            replace(
                result, event=stored.get(result.event.event_id, result.event),
                assigned=tuple(stored[event.event_id] for event in result.assigned),
                broke=tuple(stored[event.event_id] for event in result.broke),
            )
            if isinstance(result, Recorded)
            else result
            for result in results
        ]  # fmt: skip
    return results
