"""Episodes as SQL keeps them: which alarms belong together, whoever opened or ended them. See `contracts.episodes`.

Kept in the same transaction as the alarms, under the feed's lock, so an alarm that calls somebody always has its episode. Of each
patient and lane the newest episode is known by its head; an alarm joins it while the condition of one of its alarms holds, or
within `join_ms` of its last change. The alarm itself says which one it is in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from contracts.alarms import AlarmEvent, Lane
from contracts.episodes import HOLDING, Grouping, episode_id
from infra.runtime.sql.engine import reading
from infra.runtime.sql.episodes import Alarm
from infra.runtime.sql.models import ALARMS, EPISODE_HEADS, EPISODES

_GROUPING = Grouping()
_Key = tuple[str, Lane]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest episode of a patient and lane. `holding`: of how many of its alarms the condition holds now. Times are those of
    the changes: event time for the stream's, wall time for people's."""

    patient: str
    lane: Lane
    episode_id: str
    opened_ms: int
    changed_ms: int
    holding: int

    def row(self) -> dict[str, Any]:
        """The values of its columns."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "lane": self.lane.value}


def follow(connection: Connection, before: Mapping[str, Alarm], events: Sequence[AlarmEvent]) -> dict[str, str]:
    """Bring the episodes up to date with `events`; `before`: the alarms as they were. The episode of each that joins one."""
    moved: list[tuple[AlarmEvent, int]] = []
    held = {alarm_id: alarm.state in HOLDING for alarm_id, alarm in before.items()}
    for event in events:  # in turn: an alarm may begin and end in one transaction
        step = int(event.state in HOLDING) - int(held.get(event.alarm_id, False))
        held[event.alarm_id] = event.state in HOLDING
        if step:
            moved.append((event, step))
    if not moved:
        return {}
    member_of = {alarm_id: alarm.episode_id for alarm_id, alarm in before.items() if alarm.episode_id is not None}
    heads = _heads(connection, {event.patient for event, _ in moved})
    known, joined, opened = set(heads), dict[str, str](), list[Head]()
    for event, step in moved:
        key, when_ms = (event.patient, event.lane), event.at_ms
        head, episode = heads.get(key), member_of.get(event.alarm_id)
        if episode is None:
            if step < 0:
                continue  # it began before there were episodes
            if head is None or (not head.holding and when_ms - head.changed_ms > _GROUPING.join_ms):
                head = Head(
                    patient=event.patient, lane=event.lane, episode_id=episode_id(event.patient, event.lane, event.alarm_id),
                    opened_ms=when_ms, changed_ms=when_ms, holding=0,
                )  # fmt: skip
                opened.append(head)
            joined[event.alarm_id] = member_of[event.alarm_id] = head.episode_id
        elif head is None or head.episode_id != episode:
            continue
        heads[key] = replace(head, holding=max(head.holding + step, 0), changed_ms=max(head.changed_ms, when_ms))
    _write(connection, [head for key, head in heads.items() if key not in known], heads, known)
    if opened:
        columns = ("episode_id", "patient", "lane", "opened_ms")
        connection.execute(insert(EPISODES), [{name: head.row()[name] for name in columns} for head in opened])
    return joined


class EpisodeStore:
    """Episodes, for reading. Thread-safe. Every method raises `Retryable` when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, alarm_ids: Collection[str]) -> dict[str, str]:
        """The episode of each alarm that has one."""
        statement = select(ALARMS.c.alarm_id, ALARMS.c.episode_id).where(
            ALARMS.c.alarm_id.in_(sorted(alarm_ids)), ALARMS.c.episode_id.is_not(None)
        )
        with reading(self._engine) as connection:
            return {row.alarm_id: row.episode_id for row in connection.execute(statement)}

    def members(self, episode: str) -> list[str]:
        """The alarms of an episode."""
        statement = select(ALARMS.c.alarm_id).where(ALARMS.c.episode_id == episode)
        with reading(self._engine) as connection:
            return list(connection.execute(statement.order_by(ALARMS.c.alarm_id)).scalars())

    def running(self) -> list[Head]:
        """Every episode with an alarm whose condition holds, by patient and lane."""
        statement = select(EPISODE_HEADS).where(EPISODE_HEADS.c.holding > 0)
        with reading(self._engine) as connection:
            return [_head(row._asdict()) for row in connection.execute(statement.order_by("patient", "lane"))]


def _write(connection: Connection, new: Sequence[Head], heads: Mapping[_Key, Head], known: Collection[_Key]) -> None:
    if new:
        connection.execute(insert(EPISODE_HEADS), [head.row() for head in new])
    changed = [{f"to_{name}": value for name, value in heads[key].row().items()} for key in known]
    if changed:
        change = update(EPISODE_HEADS).where(
            EPISODE_HEADS.c.patient == bindparam("to_patient"), EPISODE_HEADS.c.lane == bindparam("to_lane")
        )
        columns = ("episode_id", "opened_ms", "changed_ms", "holding")
        connection.execute(change.values({name: bindparam(f"to_{name}") for name in columns}), changed)


def _heads(connection: Connection, patients: Collection[str]) -> dict[_Key, Head]:
    statement = select(EPISODE_HEADS).where(EPISODE_HEADS.c.patient.in_(sorted(patients)))
    found = [_head(row._asdict()) for row in connection.execute(statement)]
    return {(head.patient, head.lane): head for head in found}


def _head(row: Mapping[str, Any]) -> Head:
    return Head(**{**row, "lane": Lane(row["lane"])})
