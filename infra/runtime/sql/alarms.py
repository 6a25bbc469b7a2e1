"""The truth about alarms: every change of every alarm, numbered without gaps, decided once whoever races.

Writers are the alerting groups (`record`) and people through any API node (`act`). Each takes the one row of the feed first:
it is the lock that gives the numbers, so that they have no gaps, become visible in order, and no two writers deadlock. An
alarm is still written by compare-and-set on its version, which holds against a writer that does not know of the feed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeVar

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, Select, func, insert, select, tuple_
from sqlalchemy.exc import IntegrityError

from contracts.alarms import BEGINNINGS, OPEN, STREAM_CHANGES, AlarmEvent, Change, Priority, State, digest
from contracts.errors import InvalidInput, Retryable
from contracts.lifecycle import Refused
from infra.runtime.sql.engine import reading, writing
from infra.runtime.sql.episodes import Alarm, advance
from infra.runtime.sql.feed import (
    RacedError,
    alarms_by_id,
    as_stored,
    found_alarms,
    lock_feed,
    parse_event,
    stored_events,
    write_changes,
)
from infra.runtime.sql.models import ALARM_EVENTS, ALARMS, FEED, IDEMPOTENCY
from infra.runtime.sql.patients import ensure_patients

__all__ = ["OPEN", "Alarm", "AlarmPage", "AlarmStore", "Conflict", "Dropped", "Recorded"]

LABELS: Final = ("actionable", "false_alarm", "artefact")
# An alarm may be quiet for a while, never for good (DESIGN 6).
MAX_SNOOZE_MS: Final = 30 * 60_000
MAX_PAGE: Final = 500
_BATCH: Final = 500
_ATTEMPTS: Final = 20

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """`event` as SQL keeps it: true `state`, `alarm_version` and `feed_seq`. `repeated`: it was there before this call."""

    event: AlarmEvent
    repeated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """`event`, as it was given, changes nothing: the life cycle refuses it, for `reason`."""

    event: AlarmEvent
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Nothing was done. `kind` version: the alarm has changed, it is at `version` now; idempotency_key: this person used
    the key for another request before. `version` is None for an unknown alarm."""

    kind: Literal["version", "idempotency_key"]
    reason: str
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmPage:
    """Alarms, newest first. `next`: the cursor of the page that follows, None on the last one."""

    items: tuple[Alarm, ...]
    next: str | None


class AlarmStore:
    """Alarms in SQL. Thread-safe. Every method raises `Retryable` when the database does not answer: nothing was written
    then, and the call may be repeated as it was."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # Writing

    def record(self, events: Sequence[AlarmEvent]) -> list[Recorded | Dropped]:
        """Record the stream's changes (`STREAM_CHANGES`), in order; the answer has one entry for each.

        Idempotent by `event_id`: a repeat gives what was stored. The state comes from the stored alarm: `cleared` after a
        nurse's acknowledgement resolves. Several alerting groups may record the same events at once: one writes them.
        """
        results: list[Recorded | Dropped] = []
        for start in range(0, len(events), _BATCH):
            batch = events[start : start + _BATCH]
            with reading(self._engine) as connection:
                stored = stored_events(connection, {event.event_id for event in batch})
            # The second of two groups finds everything recorded, and takes no lock.
            if all(event.event_id in stored for event in batch):
                results += [Recorded(event=stored[event.event_id], repeated=True) for event in batch]
            else:
                results += self._decided(partial(_record, batch))
        return results

    def act(
        self,
        alarm_id: str,
        change: Change,
        *,
        actor: str,
        at_ms: int,
        note: str | None = None,
        until_ms: int | None = None,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> AlarmEvent | Refused | Conflict:
        """Record what a person did at wall time `at_ms`.

        `note` is free text; for ASSIGNED it is the person assigned to, for LABELLED the label (one of `LABELS`). `until_ms`
        is needed for SNOOZED. `expected_version`: only if the alarm is still at that version. `idempotency_key`: a retry of
        the same request by the same person gives the first answer. Raises `InvalidInput` for a request that is wrong in
        itself.
        """
        _check_request(change, actor, at_ms, note, until_ms)
        # A retry comes later: how long to snooze is what the person asked for, not the moment it ends.
        snooze_ms = until_ms - at_ms if change is Change.SNOOZED and until_ms is not None else None
        request = digest(alarm_id, change, note, snooze_ms)

        def decide(connection: Connection) -> AlarmEvent | Refused | Conflict:
            last_seq = lock_feed(connection)
            if idempotency_key is not None:
                known = _earlier(connection, actor, idempotency_key, request)
                if known is not None:
                    return known
            alarm = alarms_by_id(connection, {alarm_id}).get(alarm_id)
            if expected_version is not None and (alarm is None or alarm.version != expected_version):
                return Conflict(
                    kind="version",
                    reason="the alarm has changed meanwhile; look at it again",
                    version=alarm.version if alarm else None,
                )
            if alarm is None:
                return Refused(reason="there is no such alarm")
            event = _personal(alarm, change, actor, at_ms, note, until_ms)
            after = advance(alarm, event, last_seq + 1)
            if isinstance(after, Refused):
                return after
            event = as_stored(event, after)
            write_changes(connection, {alarm_id: alarm}, {alarm_id: after}, [event])
            if idempotency_key is not None:
                connection.execute(
                    insert(IDEMPOTENCY).values(
                        actor=actor, idempotency_key=idempotency_key, request=request, feed_seq=event.feed_seq
                    )
                )
            return event

        return self._decided(decide)

    # Reading

    def get(self, alarm_id: str) -> Alarm | None:
        """The alarm with this id."""
        with reading(self._engine) as connection:
            return alarms_by_id(connection, {alarm_id}).get(alarm_id)

    def events(self, alarm_id: str) -> list[AlarmEvent]:
        """Everything that happened to one alarm, oldest first."""
        return self._events(
            select(ALARM_EVENTS.c.document)
            .where(ALARM_EVENTS.c.alarm_id == alarm_id)
            .order_by(ALARM_EVENTS.c.alarm_version)
        )

    def events_after(self, feed_seq: int, limit: int = MAX_PAGE) -> list[AlarmEvent]:
        """The feed after number `feed_seq`, in order and without gaps, up to `limit` events."""
        return self._events(
            select(ALARM_EVENTS.c.document)
            .where(ALARM_EVENTS.c.feed_seq > feed_seq)
            .order_by(ALARM_EVENTS.c.feed_seq)
            .limit(max(1, limit))
        )

    def last_feed_seq(self) -> int:
        """The newest number of the feed; 0 before the first event."""
        with reading(self._engine) as connection:
            return int(connection.execute(select(FEED.c.last_seq)).scalar_one())

    def open_alarms(self) -> list[Alarm]:
        """Every alarm that calls somebody, newest first."""
        with reading(self._engine) as connection:
            return found_alarms(connection, _newest_first().where(ALARMS.c.state.in_(OPEN)))

    def page(
        self,
        *,
        states: Collection[State] | None = None,
        patient: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AlarmPage:
        """Up to `limit` alarms, newest first, in any of `states` (None: all) and of `patient` (None: everybody).

        `cursor` is the `next` of the page before: alarms raised meanwhile do not shift it. Raises `InvalidInput` for a
        cursor that is none of ours.
        """
        limit = max(1, min(limit, MAX_PAGE))
        statement = _newest_first().limit(limit + 1)
        if states is not None:
            statement = statement.where(ALARMS.c.state.in_([State(state).value for state in states]))
        if patient is not None:
            statement = statement.where(ALARMS.c.patient == patient)
        if cursor is not None:
            statement = statement.where(tuple_(ALARMS.c.raised_ms, ALARMS.c.alarm_id) < _position(cursor))
        with reading(self._engine) as connection:
            found = found_alarms(connection, statement)
        more = len(found) > limit
        last = found[limit - 1] if more else None
        return AlarmPage(items=tuple(found[:limit]), next=f"{last.raised_ms}.{last.alarm_id}" if last else None)

    def counts(self, patients: Collection[str] | None = None) -> dict[str, dict[Priority, int]]:
        """How many open alarms each patient has, by priority; without the patients who have none."""
        statement = (
            select(ALARMS.c.patient, ALARMS.c.priority, func.count())
            .where(ALARMS.c.state.in_(OPEN))
            .group_by(ALARMS.c.patient, ALARMS.c.priority)
        )
        if patients is not None:
            statement = statement.where(ALARMS.c.patient.in_(list(patients)))
        counts: dict[str, dict[Priority, int]] = {}
        with reading(self._engine) as connection:
            for patient, priority, number in connection.execute(statement):
                counts.setdefault(patient, dict.fromkeys(Priority, 0))[Priority(priority)] = number
        return counts

    def _events(self, statement: Select[Any]) -> list[AlarmEvent]:
        with reading(self._engine) as connection:
            return [parse_event(document) for document in connection.execute(statement).scalars()]

    def _decided(self, decide: Callable[[Connection], _T]) -> _T:
        for _ in range(_ATTEMPTS):
            try:
                with writing(self._engine) as connection:
                    return decide(connection)
            except (RacedError, IntegrityError):
                continue  # rolled back; decide again on what is there now
        raise Retryable("The alarm was changed by others every time that we tried.", cause="many writers at once")


def _record(events: Sequence[AlarmEvent], connection: Connection) -> list[Recorded | Dropped]:
    seq = lock_feed(connection)
    stored = stored_events(connection, {event.event_id for event in events})
    before = alarms_by_id(connection, {event.alarm_id for event in events})
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
        results.append(Recorded(event=recorded, repeated=False))
    if fresh:
        ensure_patients(connection, sorted({event.patient for event in fresh if event.change in BEGINNINGS}))
        write_changes(connection, before, after, fresh)
    return results


def _personal(
    alarm: Alarm, change: Change, actor: str, at_ms: int, note: str | None, until_ms: int | None
) -> AlarmEvent:
    try:
        return AlarmEvent(
            event_id=digest("act", alarm.alarm_id, alarm.version + 1),
            alarm_id=alarm.alarm_id,
            change=change,
            state=alarm.state,
            alarm_version=alarm.version,
            patient=alarm.patient,
            device=alarm.device,
            condition=alarm.condition,
            rule_version=alarm.rule_version,
            lane=alarm.lane,
            priority=alarm.priority,
            metric=alarm.metric,
            text=alarm.text,
            reasons=alarm.reasons,
            onset_ms=alarm.onset_ms,
            condition_ms=alarm.condition_ms,
            at_ms=at_ms,
            actor=actor,
            note=note,
            until_ms=until_ms if change is Change.SNOOZED else None,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(str(first["loc"][0]), first["msg"]) from error


def _check_request(change: Change, actor: str, at_ms: int, note: str | None, until_ms: int | None) -> None:
    if change in STREAM_CHANGES:
        raise InvalidInput("change", f"{change} is decided by the stream, not by a person")
    if not actor or "\x00" in actor:
        raise InvalidInput("actor", "must name the person")
    if note is not None and "\x00" in note:
        raise InvalidInput("note", "must be text")
    if change is Change.SNOOZED and (until_ms is None or not at_ms < until_ms <= at_ms + MAX_SNOOZE_MS):
        raise InvalidInput("until", f"must be within {MAX_SNOOZE_MS // 60_000} minutes from now")
    if change is Change.ASSIGNED and not note:
        raise InvalidInput("to", "must name the person who takes over")
    if change is Change.LABELLED and note not in LABELS:
        raise InvalidInput("label", f"must be one of {', '.join(LABELS)}")


def _earlier(connection: Connection, actor: str, key: str, request: str) -> AlarmEvent | Conflict | None:
    statement = (
        select(IDEMPOTENCY.c.request, ALARM_EVENTS.c.document)
        .join(ALARM_EVENTS, ALARM_EVENTS.c.feed_seq == IDEMPOTENCY.c.feed_seq)
        .where(IDEMPOTENCY.c.actor == actor, IDEMPOTENCY.c.idempotency_key == key)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    if row.request != request:
        return Conflict(kind="idempotency_key", reason="the key was used for another request before")
    return parse_event(row.document)


def _newest_first() -> Select[Any]:
    return select(ALARMS).order_by(ALARMS.c.raised_ms.desc(), ALARMS.c.alarm_id.desc())


def _position(cursor: str) -> tuple[int, str]:
    raised, _, alarm_id = cursor.partition(".")
    if not (raised.isascii() and raised.removeprefix("-").isdecimal() and len(raised) < 19 and alarm_id):
        raise InvalidInput("cursor", "must be the `next` of an earlier page")
    return int(raised), alarm_id
