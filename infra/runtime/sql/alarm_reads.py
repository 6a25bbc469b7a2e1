"""Alarms in SQL, for reading: one, a page, their history, how many call, what they ask of people."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, Select, func, select, tuple_

from contracts.alarms import OPEN, AlarmEvent, Priority, State
from contracts.errors import InvalidInput
from contracts.policy import Team
from infra.runtime.sql.burden import Burden, burden
from infra.runtime.sql.engine import reading
from infra.runtime.sql.episodes import Alarm
from infra.runtime.sql.feed import alarms_by_id, events_of, found_alarms, parse_event
from infra.runtime.sql.models import ALARM_EVENTS, ALARMS, FEED
from infra.runtime.sql.personal import Quiet, quiet_alarms
from infra.runtime.sql.scope import of_team

MAX_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmPage:
    """Alarms, newest first. `next`: the cursor of the page that follows, None on the last one."""

    items: tuple[Alarm, ...]
    next: str | None


class AlarmReader:
    """What is known about alarms. Thread-safe. Every method raises `Retryable` when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

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
        with reading(self._engine) as connection:
            return events_of(connection, alarm_id)

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
            statement = statement.where(tuple_(ALARMS.c.raised_ms, ALARMS.c.alarm_id) < position(cursor))
        with reading(self._engine) as connection:
            found = found_alarms(connection, statement)
        more = len(found) > limit
        last = found[limit - 1] if more else None
        return AlarmPage(items=tuple(found[:limit]), next=f"{last.raised_ms}.{last.alarm_id}" if last else None)

    def quiet_alarms(self) -> list[Quiet]:
        """Every open alarm that is acknowledged or snoozed: its time may come."""
        with reading(self._engine) as connection:
            return quiet_alarms(connection)

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

    def labelled(self, from_ms: int, to_ms: int) -> list[Alarm]:
        """Every alarm raised in [`from_ms`, `to_ms`) that carries a label, oldest first."""
        chosen = (ALARMS.c.raised_ms >= from_ms) & (ALARMS.c.raised_ms < to_ms) & ALARMS.c.label.is_not(None)
        with reading(self._engine) as connection:
            return found_alarms(connection, select(ALARMS).where(chosen).order_by(ALARMS.c.raised_ms, ALARMS.c.alarm_id))

    def burden(self, from_ms: int, to_ms: int, team: Team | None = None) -> Burden:
        """How much the alarms of [`from_ms`, `to_ms`), of `team` or of everybody, asked of people."""
        with reading(self._engine) as connection:
            return burden(connection, from_ms, to_ms, team)

    def _events(self, statement: Select[Any]) -> list[AlarmEvent]:
        with reading(self._engine) as connection:
            return [parse_event(document) for document in connection.execute(statement).scalars()]


def _newest_first() -> Select[Any]:
    return select(ALARMS).order_by(ALARMS.c.raised_ms.desc(), ALARMS.c.alarm_id.desc())


def position(cursor: str) -> tuple[int, str]:
    """Time and id that a cursor stands for. Raises `InvalidInput`."""
    raised, _, alarm_id = cursor.partition(".")
    if not (raised.isascii() and raised.removeprefix("-").isdecimal() and len(raised) < 19 and alarm_id):
        raise InvalidInput("cursor", "must be the `next` of an earlier page")
    return int(raised), alarm_id
