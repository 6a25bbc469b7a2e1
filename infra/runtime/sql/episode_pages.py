"""Episodes in SQL, for people: one line for each deterioration, with the alarms it is made of and how it grew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, Select, select, tuple_

from contracts.alarms import OPEN, AlarmEvent, Lane
from contracts.policy import Team
from infra.runtime.sql.alarm_reads import MAX_PAGE, position
from infra.runtime.sql.engine import reading
from infra.runtime.sql.episodes import Alarm
from infra.runtime.sql.feed import found_alarms, parse_event
from infra.runtime.sql.models import ALARM_EVENTS, ALARMS, EPISODES
from infra.runtime.sql.scope import of_team


class EpisodeState(StrEnum):
    """OPEN: one of its alarms calls somebody. OVER: none does."""

    OPEN = "open"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """What alarms of one patient and lane belong together. `alarms` in the order they came, at least one. `opened_ms`: the time
    of the change that began it."""

    episode_id: str
    patient: str
    lane: Lane
    opened_ms: int
    alarms: tuple[Alarm, ...]

    @property
    def state(self) -> EpisodeState:
        """Whether it calls somebody."""
        return EpisodeState.OPEN if any(alarm.state in OPEN for alarm in self.alarms) else EpisodeState.OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodePage:
    """Episodes, newest first. `next`: the cursor of the page that follows, None on the last one."""

    items: tuple[Episode, ...]
    next: str | None


class EpisodeReader:
    """Thread-safe. Every method raises `Retryable` when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(
        self,
        *,
        state: EpisodeState | None = None,
        patient: str | None = None,
        team: Team | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> EpisodePage:
        """Up to `limit` episodes, newest first, in `state` (None: any), of `patient` and of the patients of `team` (None: all).
        `cursor` is the `next` of the page before: episodes opened meanwhile do not shift it. Raises `InvalidInput` for a cursor
        that is none of ours."""
        limit = max(1, min(limit, MAX_PAGE))
        statement = select(EPISODES).order_by(EPISODES.c.opened_ms.desc(), EPISODES.c.episode_id.desc()).limit(limit + 1)
        if state is not None:
            calling = select(ALARMS.c.episode_id).where(ALARMS.c.state.in_(OPEN), ALARMS.c.episode_id.is_not(None))
            calls = EPISODES.c.episode_id.in_(calling)
            statement = statement.where(calls if state is EpisodeState.OPEN else ~calls)
        if patient is not None:
            statement = statement.where(EPISODES.c.patient == patient)
        statement = statement.where(of_team(team, EPISODES.c.patient))
        if cursor is not None:
            statement = statement.where(tuple_(EPISODES.c.opened_ms, EPISODES.c.episode_id) < position(cursor))
        with reading(self._engine) as connection:
            found = _with_alarms(connection, statement)
        more = len(found) > limit
        last = found[limit - 1] if more else None
        return EpisodePage(items=tuple(found[:limit]), next=f"{last.opened_ms}.{last.episode_id}" if last else None)

    def get(self, episode_id: str) -> tuple[Episode, list[AlarmEvent]] | None:
        """The episode with every recorded change of its alarms, in the order of the feed; None: there is none."""
        with reading(self._engine) as connection:
            found = _with_alarms(connection, select(EPISODES).where(EPISODES.c.episode_id == episode_id))
            if not found:
                return None
            documents = connection.execute(
                select(ALARM_EVENTS.c.document)
                .join(ALARMS, ALARMS.c.alarm_id == ALARM_EVENTS.c.alarm_id)
                .where(ALARMS.c.episode_id == episode_id)
                .order_by(ALARM_EVENTS.c.feed_seq)
            ).scalars()
            return found[0], [parse_event(document) for document in documents]


def _with_alarms(connection: Connection, statement: Select[Any]) -> list[Episode]:
    rows: Sequence[Mapping[str, Any]] = [row._asdict() for row in connection.execute(statement)]
    alarms: dict[str, list[Alarm]] = {row["episode_id"]: [] for row in rows}
    members = select(ALARMS).where(ALARMS.c.episode_id.in_(sorted(alarms))).order_by(ALARMS.c.raised_ms, ALARMS.c.alarm_id)
    for alarm in found_alarms(connection, members) if alarms else ():
        alarms[str(alarm.episode_id)].append(alarm)
    return [Episode(**{**row, "lane": Lane(row["lane"])}, alarms=tuple(alarms[row["episode_id"]])) for row in rows]
