"""The truth about alarms: every change of every alarm, numbered without gaps, decided once whoever races.

Writers are the alerting groups (`record`), people through any API node (`act`, `hand_over`), and the timers that end what
people have made quiet (`end_quiet`). Each takes the one row of the feed first:
it is the lock that gives the numbers, so that they have no gaps, become visible in order, and no two writers deadlock. An
alarm is still written by compare-and-set on its version, which holds against a writer that does not know of the feed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, Select, func, select, tuple_
from sqlalchemy.exc import IntegrityError

from contracts.alarms import BEGINNINGS, CALLS, OPEN, STREAM_CHANGES, AlarmEvent, Change, Priority, State
from contracts.errors import InvalidInput, Retryable
from contracts.lifecycle import Refused
from contracts.policy import Team
from contracts.quiet import QuietTimes
from infra.runtime.sql.burden import Burden, burden
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
from infra.runtime.sql.models import ALARM_EVENTS, ALARMS, FEED
from infra.runtime.sql.patients import ensure_patients
from infra.runtime.sql.personal import (
    LABELS,
    Act,
    Conflict,
    Quiet,
    QuietEnd,
    broken_by,
    check_request,
    earlier,
    ended,
    handed_over,
    personal,
    quiet_alarms,
    quiet_opposites,
    remember,
)
from infra.runtime.sql.scope import of_team

__all__ = ["LABELS", "OPEN", "Alarm", "AlarmPage", "AlarmStore", "Conflict", "Dropped", "QuietEnd", "Recorded"]

MAX_PAGE: Final = 500
_BATCH: Final = 500
_ATTEMPTS: Final = 20

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """`event` as SQL keeps it: true `state`, `alarm_version` and `feed_seq`. `repeated`: it was there before this call.
    `broke`: what it ended of the quiet that people had given to the opposite direction."""

    event: AlarmEvent
    repeated: bool
    broke: tuple[AlarmEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """`event`, as it was given, changes nothing: the life cycle refuses it, for `reason`."""

    event: AlarmEvent
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmPage:
    """Alarms, newest first. `next`: the cursor of the page that follows, None on the last one."""

    items: tuple[Alarm, ...]
    next: str | None


class AlarmStore:
    """Alarms in SQL. Thread-safe. Every method raises `Retryable` when the database does not answer: nothing was written
    then, and the call may be repeated as it was."""

    def __init__(self, engine: Engine, quiet: QuietTimes | None = None) -> None:
        """`quiet`: for how long people may keep an alarm quiet."""
        self._engine = engine
        self._quiet = quiet or QuietTimes()

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
        to: str | None = None,
        until_ms: int | None = None,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> AlarmEvent | Refused | Conflict:
        """Record what a person did at wall time `at_ms`.

        `note` is free text: why. For LABELLED it is the label (one of `LABELS`), for ASSIGNED without `to` the person assigned
        to. `until_ms` is needed for SNOOZED, and may shorten an acknowledgement; the bounds are those of the alarm's priority.
        `expected_version`: only if the alarm is still at that version. `idempotency_key`: a retry of the same request by the
        same person gives the first answer. Raises `InvalidInput` for a request that is wrong in itself.
        """
        act = Act(change=change, actor=actor, at_ms=at_ms, note=note, to=to, until_ms=until_ms)
        check_request(act)
        request = act.request(alarm_id)

        def decide(connection: Connection) -> AlarmEvent | Refused | Conflict:
            last_seq = lock_feed(connection)
            if idempotency_key is not None:
                known = earlier(connection, actor, idempotency_key, request)
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
            event = personal(alarm, act, self._quiet)
            after = advance(alarm, event, last_seq + 1)
            if isinstance(after, Refused):
                return after
            event = as_stored(event, after)
            write_changes(connection, {alarm_id: alarm}, {alarm_id: after}, [event])
            if idempotency_key is not None:
                remember(connection, actor, idempotency_key, request, event)
            return event

        return self._decided(decide)

    def hand_over(
        self,
        leaving: str,
        coming: str,
        *,
        actor: str,
        at_ms: int,
        note: str | None = None,
        idempotency_key: str | None = None,
        team: Team | None = None,
    ) -> list[AlarmEvent] | Conflict:
        """Assign every alarm that calls somebody and is assigned to `leaving` to `coming`: all of them, or none. `team`: those of
        its patients.

        The changes, in the order of the feed; none when there was nothing to hand over. Raises `InvalidInput`.
        """
        if not leaving:
            raise InvalidInput("from", "must name the person who leaves")
        if leaving == coming:
            raise InvalidInput("to", "must name another person than `from`")
        act = Act(change=Change.HANDED_OVER, actor=actor, at_ms=at_ms, note=note, to=coming)
        check_request(act)
        request = act.request(leaving)

        def decide(connection: Connection) -> list[AlarmEvent] | Conflict:
            seq = lock_feed(connection)
            if idempotency_key is not None:
                known = earlier(connection, actor, idempotency_key, request)
                if isinstance(known, Conflict):
                    return known
                if known is not None:
                    return handed_over(connection, known)
            theirs = select(ALARMS).where(ALARMS.c.state.in_(OPEN), ALARMS.c.assigned_to == leaving)
            theirs = theirs.where(of_team(team, ALARMS.c.patient))
            before = {alarm.alarm_id: alarm for alarm in found_alarms(connection, theirs.order_by(ALARMS.c.alarm_id))}
            after: dict[str, Alarm] = {}
            events: list[AlarmEvent] = []
            for alarm in before.values():
                event = personal(alarm, act, self._quiet)
                moved = advance(alarm, event, seq + 1)
                assert isinstance(moved, Alarm), "an open alarm can be assigned"
                seq += 1
                after[alarm.alarm_id] = moved
                events.append(as_stored(event, moved))
            if events:
                write_changes(connection, before, after, events)
                if idempotency_key is not None:
                    remember(connection, actor, idempotency_key, request, events[-1])
            return events

        return self._decided(decide)

    def quiet_alarms(self) -> list[Quiet]:
        """Every open alarm that is acknowledged or snoozed: its time may come."""
        with reading(self._engine) as connection:
            return quiet_alarms(connection)

    def end_quiet(self, ends: Collection[QuietEnd], *, at_ms: int) -> list[AlarmEvent]:
        """Bring back alarms whose acknowledgement or snooze is over; the changes that came of it.

        An end that does not hold any more is passed over: somebody has acknowledged or snoozed anew, another node was first,
        or the alarm is over.
        """
        if not ends:
            return []

        def decide(connection: Connection) -> list[AlarmEvent]:
            seq = lock_feed(connection)
            before = alarms_by_id(connection, {end.alarm_id for end in ends})
            after, events = dict(before), list[AlarmEvent]()
            for end in ends:
                alarm = after.get(end.alarm_id)
                if alarm is None:
                    continue
                event = ended(alarm, end, at_ms)
                moved = advance(alarm, event, seq + 1)
                if isinstance(moved, Alarm):
                    seq += 1
                    after[end.alarm_id] = moved
                    events.append(as_stored(event, moved))
            if events:
                write_changes(connection, before, after, events)
            return events

        return self._decided(decide)

    # Reading

    def get(self, alarm_id: str) -> Alarm | None:
        """The alarm with this id."""
        with reading(self._engine) as connection:
            return alarms_by_id(connection, {alarm_id}).get(alarm_id)

    def several(self, alarm_ids: Collection[str]) -> list[Alarm]:
        """Those of the alarms that exist."""
        with reading(self._engine) as connection:
            return list(alarms_by_id(connection, alarm_ids).values())

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
        team: Team | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AlarmPage:
        """Up to `limit` alarms, newest first, in any of `states` (None: all), of `patient` and of the patients of `team` (None:
        everybody).

        `cursor` is the `next` of the page before: alarms raised meanwhile do not shift it. Raises `InvalidInput` for a
        cursor that is none of ours.
        """
        limit = max(1, min(limit, MAX_PAGE))
        statement = _newest_first().limit(limit + 1)
        if states is not None:
            statement = statement.where(ALARMS.c.state.in_([State(state).value for state in states]))
        if patient is not None:
            statement = statement.where(ALARMS.c.patient == patient)
        statement = statement.where(of_team(team, ALARMS.c.patient))
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

    def histories(
        self, from_ms: int, to_ms: int, *, patient: str | None = None, team: Team | None = None, most: int
    ) -> list[tuple[Alarm, list[AlarmEvent]]] | None:
        """Every alarm raised in [`from_ms`, `to_ms`) with all its changes, oldest first; None: there are more than `most`."""
        chosen = (ALARMS.c.raised_ms >= from_ms) & (ALARMS.c.raised_ms < to_ms) & of_team(team, ALARMS.c.patient)
        if patient is not None:
            chosen &= ALARMS.c.patient == patient
        with reading(self._engine) as connection:
            alarms = found_alarms(
                connection, select(ALARMS).where(chosen).order_by(ALARMS.c.raised_ms, ALARMS.c.alarm_id).limit(most + 1)
            )
            if len(alarms) > most:
                return None
            histories: dict[str, list[AlarmEvent]] = {alarm.alarm_id: [] for alarm in alarms}
            for document in connection.execute(
                select(ALARM_EVENTS.c.document)
                .join(ALARMS, ALARMS.c.alarm_id == ALARM_EVENTS.c.alarm_id)
                .where(chosen)
                .order_by(ALARM_EVENTS.c.feed_seq)
            ).scalars():
                event = parse_event(document)
                if event.alarm_id in histories:  # one that was raised between the two questions is for the next export
                    histories[event.alarm_id].append(event)
        return [(alarm, histories[alarm.alarm_id]) for alarm in alarms]

    def burden(self, from_ms: int, to_ms: int, team: Team | None = None) -> Burden:
        """How much the alarms of [`from_ms`, `to_ms`), of `team` or of everybody, asked of people."""
        with reading(self._engine) as connection:
            return burden(connection, from_ms, to_ms, team)

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
    opposites = quiet_opposites(connection, (event for event in events if event.event_id not in stored))
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
        broke: list[AlarmEvent] = []
        for quiet in opposites.get((event.patient, event.condition), ()) if event.change in CALLS else ():
            broken = broken_by(after[quiet.alarm_id], event)
            loud = advance(after[quiet.alarm_id], broken, seq + 1)
            if isinstance(loud, Alarm):
                seq += 1
                after[quiet.alarm_id] = loud
                broke.append(as_stored(broken, loud))
        fresh += broke
        results.append(Recorded(event=recorded, repeated=False, broke=tuple(broke)))
    if fresh:
        ensure_patients(connection, sorted({event.patient for event in fresh if event.change in BEGINNINGS}))
        write_changes(connection, before, after, fresh)
    return results


def _newest_first() -> Select[Any]:
    return select(ALARMS).order_by(ALARMS.c.raised_ms.desc(), ALARMS.c.alarm_id.desc())


def _position(cursor: str) -> tuple[int, str]:
    raised, _, alarm_id = cursor.partition(".")
    if not (raised.isascii() and raised.removeprefix("-").isdecimal() and len(raised) < 19 and alarm_id):
        raise InvalidInput("cursor", "must be the `next` of an earlier page")
    return int(raised), alarm_id
