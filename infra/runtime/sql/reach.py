"""Calls as SQL keeps them, and the one transaction in which a step and its notices are written.

Whoever wants to write says what it has seen (`Seen.writes`, `Seen.feed_seq`). If another process has written since, nothing
is written: two escalators side by side never tell twice, and one that is killed leaves no gap.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Engine, RowMapping, case, delete, func, insert, select, update

from contracts.alarms import AlarmEvent
from infra.runtime.sql.engine import reading, writing
from infra.runtime.sql.feed import parse_event
from infra.runtime.sql.models import ALARM_EVENTS, ALARMS, FEED, PATIENTS
from infra.runtime.sql.notices import THROUGH, Written, put, withdraw
from infra.runtime.sql.reach_tables import (
    NOTICE_RECEIPTS,
    NOTICES,
    REACH_CALLS,
    REACH_REASONS,
    REACH_STATE,
    REACH_VERSIONS,
)

_MANY: Final = 500  # names in one question


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Where things stand: the end of the alarm feed, how far of it was taken (-1: nothing ever was), counters of what was written
    and of receipts that may matter, the newest policy (0: none), and since when nobody is reached."""

    last_seq: int
    feed_seq: int
    writes: int
    evidence: int
    policy: int
    unreached_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCall:
    """A call as it was at wall time `since_ms`; `document` is for who wrote it. `told_ms`: when somebody was last told."""

    alarm_id: str
    number: int
    phase: str
    step: int
    unreached: bool
    episode: str | None
    condition: str
    since_ms: int
    told_ms: int | None
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What became of a call's notices. `through`: one of them was sent. `dead`: of the newest step that told anybody, nothing was
    sent, and everything of one telling was given up."""

    through: bool
    dead: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why somebody, or nobody, is told of an alarm."""

    alarm_id: str
    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is to be written at once: up to where the feed was taken, calls as they are now, notices, reasons, the alarms whose
    notices need not be sent any more, and since when nobody is reached."""

    feed_seq: int
    at_ms: int
    calls: Sequence[StoredCall] = ()
    notices: Sequence[Written] = ()
    reasons: Sequence[Reason] = ()
    answered: Collection[str] = field(default=())
    unreached_ms: int | None = None


class ReachStore:
    """Calls in SQL. Thread-safe. Every method raises `Retryable` when the database does not answer; nothing was written then."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def seen(self) -> Seen:
        """Where things stand: one small question."""
        newest = select(func.coalesce(func.max(REACH_VERSIONS.c.number), 0)).scalar_subquery()
        with reading(self._engine) as connection:
            both = select(REACH_STATE, FEED.c.last_seq, newest.label("policy")).where(FEED.c.id == REACH_STATE.c.id)
            row = connection.execute(both).one()
        return Seen(
            last_seq=row.last_seq, feed_seq=row.feed_seq, writes=row.writes, evidence=row.evidence, policy=row.policy,
            unreached_ms=row.unreached_ms,
        )  # fmt: skip

    def running(self) -> list[StoredCall]:
        """Every call that is not over."""
        statement = select(REACH_CALLS).where(REACH_CALLS.c.phase != "over")
        with reading(self._engine) as connection:
            return [StoredCall(**row) for row in connection.execute(statement).mappings()]

    def changes(self, after: int, limit: int) -> list[AlarmEvent]:
        """The feed after number `after`, in order."""
        statement = select(ALARM_EVENTS.c.document).where(ALARM_EVENTS.c.feed_seq > after)
        with reading(self._engine) as connection:
            found = connection.execute(statement.order_by(ALARM_EVENTS.c.feed_seq).limit(limit)).scalars()
            return [parse_event(document) for document in found]

    def episodes(self, alarm_ids: Collection[str]) -> dict[str, str]:
        """The episode of each alarm that has one."""
        with reading(self._engine) as connection:
            rows = _by_many(connection, ALARMS.c.alarm_id, alarm_ids, ALARMS.c.alarm_id, ALARMS.c.episode_id)
            return {row["alarm_id"]: row["episode_id"] for row in rows if row["episode_id"] is not None}

    def told(self, episodes: Collection[str]) -> dict[tuple[str, str], int]:
        """When somebody was last told of each condition of these episodes."""
        with reading(self._engine) as connection:
            rows = _by_many(
                connection, REACH_CALLS.c.episode, episodes, REACH_CALLS.c.episode, REACH_CALLS.c.condition, REACH_CALLS.c.told_ms
            )
            told: dict[tuple[str, str], int] = {}
            for row in rows:
                if row["told_ms"] is not None:
                    key = (row["episode"], row["condition"])
                    told[key] = max(told.get(key, row["told_ms"]), row["told_ms"])
            return told

    def units(self, patients: Collection[str]) -> dict[str, str]:
        """The unit of each patient who has one."""
        with reading(self._engine) as connection:
            rows = _by_many(connection, PATIENTS.c.patient, patients, PATIENTS.c.patient, PATIENTS.c.unit)
            return {row["patient"]: row["unit"] for row in rows if row["unit"] is not None}

    def evidence(self) -> dict[str, Evidence]:
        """What became of the notices of every call that calls, by alarm."""
        statement = (
            select(
                NOTICES.c.alarm_id, NOTICES.c.step, NOTICES.c.reminder,
                func.sum(case((NOTICES.c.status.in_(THROUGH), 1), else_=0)).label("through"),
                func.sum(case((NOTICES.c.status != "dead", 1), else_=0)).label("alive"),
            )
            .join(REACH_CALLS, (REACH_CALLS.c.alarm_id == NOTICES.c.alarm_id) & (REACH_CALLS.c.number == NOTICES.c.number))
            .where(REACH_CALLS.c.phase == "calling")
            .group_by(NOTICES.c.alarm_id, NOTICES.c.step, NOTICES.c.reminder)
        )  # fmt: skip
        tellings: dict[str, list[tuple[int, bool, bool]]] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(statement):
                tellings.setdefault(row.alarm_id, []).append((row.step, row.through > 0, row.alive > 0))
        return {alarm_id: _judged(found) for alarm_id, found in tellings.items()}

    def forget(self, now_ms: int, keep_ms: int) -> int:
        """Delete who was told of alarms that have called nobody for `keep_ms`, some of them at a time; of how many. The alarms
        and their history stay. Counted from the newest change of the feed where that is before `now_ms`: a wall clock that is
        set years ahead deletes nothing."""
        newest = select(ALARM_EVENTS.c.document).join(FEED, FEED.c.last_seq == ALARM_EVENTS.c.feed_seq)
        with reading(self._engine) as connection:
            document = connection.execute(newest).scalar_one_or_none()
            if document is None:
                return 0
            before_ms = min(now_ms, parse_event(document).at_ms) - keep_ms
            old = select(REACH_CALLS.c.alarm_id).where(REACH_CALLS.c.phase == "over", REACH_CALLS.c.since_ms < before_ms)
            ids = connection.execute(old.limit(_MANY)).scalars().all()
        if ids:
            with writing(self._engine) as connection:
                theirs = select(NOTICES.c.notice_id).where(NOTICES.c.alarm_id.in_(ids))
                connection.execute(delete(NOTICE_RECEIPTS).where(NOTICE_RECEIPTS.c.notice_id.in_(theirs)))
                for table in (NOTICES, REACH_REASONS, REACH_CALLS):
                    connection.execute(delete(table).where(table.c.alarm_id.in_(ids)))
        return len(ids)

    def write(self, seen: Seen, turn: Turn) -> bool:
        """Write `turn`, all of it; False, and nothing is written, when somebody has written since `seen`."""
        mine = (REACH_STATE.c.writes == seen.writes) & (REACH_STATE.c.feed_seq == seen.feed_seq)
        state = {"feed_seq": turn.feed_seq, "writes": seen.writes + 1, "unreached_ms": turn.unreached_ms}
        with writing(self._engine) as connection:
            if connection.execute(update(REACH_STATE).where(mine).values(**state)).rowcount != 1:
                return False
            _put_calls(connection, turn.calls)
            put(connection, turn.notices)
            if turn.answered:
                withdraw(connection, turn.answered, turn.at_ms, "answered, or over, before it was sent")
            _put_reasons(connection, turn)
        return True


def _judged(tellings: Sequence[tuple[int, bool, bool]]) -> Evidence:
    newest = max(step for step, _, _ in tellings)
    of_it = [(through, alive) for step, through, alive in tellings if step == newest]
    dead = not any(through for through, _ in of_it) and any(not alive for _, alive in of_it)
    return Evidence(through=any(through for _, through, _ in tellings), dead=dead)


def _put_calls(connection: Connection, calls: Sequence[StoredCall]) -> None:
    ids = [call.alarm_id for call in calls]
    known = {row["alarm_id"] for row in _by_many(connection, REACH_CALLS.c.alarm_id, ids, REACH_CALLS.c.alarm_id)}
    new = [_values(call) for call in calls if call.alarm_id not in known]
    if new:
        connection.execute(insert(REACH_CALLS), new)
    for call in calls:
        if call.alarm_id in known:
            values = _values(call)
            connection.execute(update(REACH_CALLS).where(REACH_CALLS.c.alarm_id == values.pop("alarm_id")).values(**values))


def _values(call: StoredCall) -> dict[str, Any]:
    return {name: getattr(call, name) for name in call.__slots__}


def _put_reasons(connection: Connection, turn: Turn) -> None:
    counts = select(REACH_REASONS.c.alarm_id, func.max(REACH_REASONS.c.entry)).group_by(REACH_REASONS.c.alarm_id)
    ids = sorted({reason.alarm_id for reason in turn.reasons})
    last: dict[str, int] = {}
    for start in range(0, len(ids), _MANY):
        chosen = REACH_REASONS.c.alarm_id.in_(ids[start : start + _MANY])
        last.update({row[0]: row[1] for row in connection.execute(counts.where(chosen))})
    rows = []
    for reason in turn.reasons:
        entry = last[reason.alarm_id] = last.get(reason.alarm_id, 0) + 1
        rows.append(
            {"alarm_id": reason.alarm_id, "entry": entry, "number": reason.number, "at_ms": turn.at_ms, "reason": reason.text}
        )
    if rows:
        connection.execute(insert(REACH_REASONS), rows)


def _by_many(connection: Connection, column: Any, names: Collection[str], *wanted: Any) -> list[RowMapping]:
    found: list[RowMapping] = []
    ordered = sorted(names)
    for start in range(0, len(ordered), _MANY):
        chosen = column.in_(ordered[start : start + _MANY])
        found += connection.execute(select(*wanted).where(chosen)).mappings()
    return found
