"""The truth about alarms: every change of every alarm, numbered without gaps, decided once whoever races.

Writers are the alerting groups (`record`), people through any API node (`act`, `take_back`, `hand_over`), and the timers that
end what people have made quiet (`end_quiet`). Each takes the one row of the feed first: it is the lock that gives the numbers,
so that they have no gaps, become visible in order, and no two writers deadlock. An alarm is still written by compare-and-set on
its version, which holds against a writer that does not know of the feed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import IntegrityError

from contracts.alarms import OPEN, AlarmEvent, Change, digest
from contracts.errors import InvalidInput, Retryable
from contracts.lifecycle import Refused
from contracts.policy import Team
from contracts.quiet import QuietTimes
from infra.runtime.sql.alarm_reads import AlarmPage, AlarmReader
from infra.runtime.sql.carers import Carer, leave, pass_on, take
from infra.runtime.sql.carers import page as carers_page
from infra.runtime.sql.engine import reading, writing
from infra.runtime.sql.episodes import Alarm, advance
from infra.runtime.sql.feed import (
    RacedError,
    alarms_by_id,
    as_stored,
    events_of,
    found_alarms,
    lock_feed,
    stored_events,
    write_changes,
)
from infra.runtime.sql.models import ALARMS
from infra.runtime.sql.personal import (
    LABELS,
    Act,
    Conflict,
    QuietEnd,
    check_request,
    earlier,
    ended,
    handed_over,
    personal,
    remember,
)
from infra.runtime.sql.recording import Dropped, Recorded, record
from infra.runtime.sql.scope import of_team
from infra.runtime.sql.taking_back import taken_back

__all__ = ["LABELS", "OPEN", "Alarm", "AlarmPage", "AlarmStore", "Conflict", "Dropped", "QuietEnd", "Recorded"]

_BATCH: Final = 500
_ATTEMPTS: Final = 20

_T = TypeVar("_T")


class AlarmStore(AlarmReader):
    """Alarms in SQL, for reading and writing. Thread-safe. Every method raises `Retryable` when the database does not answer:
    nothing was written then, and the call may be repeated as it was."""

    def __init__(self, engine: Engine, quiet: QuietTimes | None = None) -> None:
        """`quiet`: for how long people may keep an alarm quiet."""
        super().__init__(engine)
        self._quiet = quiet or QuietTimes()

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
                results += self._decided(partial(record, batch))
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

        def made(_: Connection, alarm: Alarm) -> AlarmEvent:
            return personal(alarm, act, self._quiet)

        return self._by(actor, alarm_id, act.request(alarm_id), made, expected_version, idempotency_key)

    def take_back(
        self,
        alarm_id: str,
        *,
        actor: str,
        at_ms: int,
        expected_version: int | None = None,
        idempotency_key: str | None = None,
    ) -> AlarmEvent | Refused | Conflict:
        """Take back what this person did to the alarm a moment ago, as `taking_back` allows. The rest as `act`."""

        def made(connection: Connection, alarm: Alarm) -> AlarmEvent | Refused:
            return taken_back(alarm, events_of(connection, alarm_id), actor=actor, at_ms=at_ms)

        return self._by(actor, alarm_id, digest(alarm_id, "undo"), made, expected_version, idempotency_key)

    def _by(
        self,
        actor: str,
        alarm_id: str,
        request: str,
        make: Callable[[Connection, Alarm], AlarmEvent | Refused],
        expected_version: int | None,
        idempotency_key: str | None,
    ) -> AlarmEvent | Refused | Conflict:
        """What a person changes about one alarm, once for a key."""

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
            event = make(connection, alarm)
            if isinstance(event, Refused):
                return event
            after = advance(alarm, event, last_seq + 1)
            if isinstance(after, Refused):
                return after
            event = as_stored(event, after)
            (event,) = write_changes(connection, {alarm_id: alarm}, {alarm_id: after}, [event])
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
        """Assign every alarm that calls somebody and is assigned to `leaving` to `coming`: all of them, or none; and give
        them whom `leaving` looks after. `team`: those of its patients.

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
            found = found_alarms(connection, theirs.order_by(ALARMS.c.alarm_id))
            events = self._assign(connection, seq, act, found)
            pass_on(connection, leaving, coming, by=actor, at_ms=at_ms, team=team)
            if events and idempotency_key is not None:
                remember(connection, actor, idempotency_key, request, events[-1])
            return events

        return self._decided(decide)

    def look_after(self, carer: Carer) -> list[AlarmEvent]:
        """From now on `carer.person` looks after the patient: every alarm that calls somebody is theirs, and each that begins
        before `until_ms`. The changes that came of it. The same call again changes nothing more."""
        act = Act(change=Change.ASSIGNED, actor=carer.assigned_by, at_ms=carer.since_ms, to=carer.person)
        check_request(act)
        if not carer.since_ms < carer.until_ms:
            raise InvalidInput("hours", "must end later than it begins")

        def decide(connection: Connection) -> list[AlarmEvent]:
            seq = lock_feed(connection)
            take(connection, carer)
            theirs = select(ALARMS).where(ALARMS.c.state.in_(OPEN), ALARMS.c.patient == carer.patient)
            found = found_alarms(connection, theirs.order_by(ALARMS.c.alarm_id))
            return self._assign(connection, seq, act, [a for a in found if a.assigned_to != carer.person])

        return self._decided(decide)

    def leave(self, patient: str) -> bool:
        """Nobody in particular looks after the patient any more; alarms that are open stay whose they are. False: nobody did."""

        def decide(connection: Connection) -> bool:
            lock_feed(connection)
            return leave(connection, patient)

        return self._decided(decide)

    def carers(self, at_ms: int, *, after: str | None, limit: int, team: Team | None = None) -> list[Carer]:
        """Who looks after whom at `at_ms`, by patient."""
        with reading(self._engine) as connection:
            return carers_page(connection, at_ms, after=after, limit=limit, team=team)

    def _assign(self, connection: Connection, seq: int, act: Act, alarms: Sequence[Alarm]) -> list[AlarmEvent]:
        """Open `alarms` change hands, with numbers after `seq`."""
        before = {alarm.alarm_id: alarm for alarm in alarms}
        after: dict[str, Alarm] = {}
        events: list[AlarmEvent] = []
        for alarm in alarms:
            event = personal(alarm, act, self._quiet)
            moved = advance(alarm, event, seq + 1)
            assert isinstance(moved, Alarm), "an open alarm can be assigned"
            seq += 1
            after[alarm.alarm_id] = moved
            events.append(as_stored(event, moved))
        return write_changes(connection, before, after, events) if events else []

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
                events = write_changes(connection, before, after, events)
            return events

        return self._decided(decide)

    def _decided(self, decide: Callable[[Connection], _T]) -> _T:
        for _ in range(_ATTEMPTS):
            try:
                with writing(self._engine) as connection:
                    return decide(connection)
            except (RacedError, IntegrityError):
                continue  # rolled back; decide again on what is there now
        raise Retryable("The alarm was changed by others every time that we tried.", cause="many writers at once")
