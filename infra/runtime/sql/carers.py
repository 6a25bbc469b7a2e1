"""Who looks after a patient: alarms that begin later are theirs too, until a time that is set when they take over.

Every function runs inside the caller's transaction; who writes holds the lock of the feed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Index, Table, Text, delete, insert, select, update

from contracts.alarms import AlarmEvent, Change
from contracts.policy import Team
from infra.runtime.sql.models import METADATA
from infra.runtime.sql.patients import ensure_patients
from infra.runtime.sql.scope import of_team

# The changes with which an alarm begins to call somebody: it is then its patient's carer's.
BEGINS: Final = frozenset({Change.RAISED, Change.RELEASED})

CARERS: Final = Table(
    "carers",
    METADATA,
    Column("patient", Text, ForeignKey("patients.patient"), primary_key=True),
    Column("person", Text, nullable=False),
    Column("assigned_by", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Index(None, "person"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carer:
    """`person` looks after `patient` up to, not including, `until_ms`; `assigned_by` has said so."""

    patient: str
    person: str
    assigned_by: str
    since_ms: int
    until_ms: int


def carers_for(connection: Connection, events: Iterable[AlarmEvent]) -> Mapping[str, Carer]:
    """Who looks after the patients of those of `events` that begin to call, by patient; also those whose time is over."""
    patients = {event.patient for event in events if event.change in BEGINS}
    if not patients:
        return {}
    rows = connection.execute(select(CARERS).where(CARERS.c.patient.in_(sorted(patients)))).mappings()
    return {row["patient"]: Carer(**row) for row in rows}


def take(connection: Connection, carer: Carer) -> None:
    """From now on it is this one, whoever it was before."""
    ensure_patients(connection, [carer.patient])
    connection.execute(delete(CARERS).where(CARERS.c.patient == carer.patient))
    connection.execute(insert(CARERS).values({name: getattr(carer, name) for name in Carer.__slots__}))


def leave(connection: Connection, patient: str) -> bool:
    """Nobody in particular looks after the patient any more. False: nobody did."""
    return connection.execute(delete(CARERS).where(CARERS.c.patient == patient)).rowcount > 0


def pass_on(connection: Connection, leaving: str, coming: str, *, by: str, at_ms: int, team: Team | None) -> None:
    """Whom `leaving` looks after, of the patients of `team`, `coming` looks after; until the same time."""
    theirs = (CARERS.c.person == leaving) & (CARERS.c.until_ms > at_ms) & of_team(team, CARERS.c.patient)
    connection.execute(update(CARERS).where(theirs).values(person=coming, assigned_by=by, since_ms=at_ms))


def page(connection: Connection, at_ms: int, *, after: str | None, limit: int, team: Team | None) -> list[Carer]:
    """Up to `limit` of those that hold at `at_ms`, by patient, after patient `after`; of the patients of `team` (None: all)."""
    statement = select(CARERS).where(CARERS.c.until_ms > at_ms, of_team(team, CARERS.c.patient))
    if after is not None:
        statement = statement.where(CARERS.c.patient > after)
    rows = connection.execute(statement.order_by(CARERS.c.patient).limit(limit)).mappings()
    return [Carer(**row) for row in rows]
