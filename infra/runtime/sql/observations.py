"""What people observed at the bedside and wrote down: who, when, what. The readings themselves go through the stream too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    Table,
    Text,
    UniqueConstraint,
    and_,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from contracts.alarms import digest
from infra.runtime.sql.engine import reading, writing
from infra.runtime.sql.models import DOCUMENT, METADATA
from infra.runtime.sql.patients import ensure_patients

OBSERVATIONS: Final = Table(
    "observations",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("patient", Text, ForeignKey("patients.patient"), nullable=False),
    Column("author", Text, nullable=False),
    Column("taken_ms", BigInteger, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
    Column("readings", DOCUMENT, nullable=False),  # [[metric, value], …] in the catalogue's units
    Column("note", Text),
    Column("sent_ms", BigInteger),  # when Kafka had its readings; null: not yet, and nobody is shown it
    Column("idempotency_key", Text),
    Column("request", Text, nullable=False),  # digest of what was asked, to tell a retry from a reused key
    UniqueConstraint("author", "idempotency_key"),
    Index(None, "patient", "taken_ms", "number"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One observation. `number` 0: not recorded yet. `readings`: metric and value in the catalogue's unit, each metric once."""

    number: int = 0
    patient: str
    author: str
    taken_ms: int
    recorded_ms: int
    readings: tuple[tuple[str, float], ...]
    note: str | None = None
    sent_ms: int | None = None

    def request(self, taken: str | None) -> str:
        """What tells this request from another; `taken` as it was asked for, since a retry comes later."""
        return digest(self.patient, taken, self.note, *(f"{metric}={value!r}" for metric, value in self.readings))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """Nothing was recorded: this person used the key for another request before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationPage:
    """Observations, the newest first. `next`: time and number after which the next page begins, None on the last one."""

    items: tuple[Observation, ...]
    next: tuple[int, int] | None


class ObservationStore:
    """Observations in SQL. Thread-safe. Every method raises `Retryable` when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, observation: Observation, *, taken: str | None, key: str | None) -> Observation | Reused:
        """Record it under a number, or find what the same person asked under the same `key` before."""
        request = observation.request(taken)
        while True:
            try:
                with writing(self._engine) as connection:
                    before = _earlier(connection, observation.author, key)
                    if before is not None:
                        return _observation(before) if before["request"] == request else Reused()
                    ensure_patients(connection, [observation.patient])
                    added = connection.execute(
                        insert(OBSERVATIONS).values(
                            patient=observation.patient,
                            author=observation.author,
                            taken_ms=observation.taken_ms,
                            recorded_ms=observation.recorded_ms,
                            readings=[list(pair) for pair in observation.readings],
                            note=observation.note,
                            idempotency_key=key,
                            request=request,
                        )
                    )
                    (number,) = added.inserted_primary_key or (0,)
                    return replace(observation, number=int(number))
            except IntegrityError:
                if key is None:
                    raise
                with reading(self._engine) as connection:  # a race for the key: the other one has won
                    if _earlier(connection, observation.author, key) is None:
                        raise

    def sent(self, number: int, at_ms: int) -> None:
        """Kafka has its readings: from now on it is shown."""
        with writing(self._engine) as connection:
            connection.execute(
                update(OBSERVATIONS)
                .where(OBSERVATIONS.c.number == number, OBSERVATIONS.c.sent_ms.is_(None))
                .values(sent_ms=at_ms)
            )

    def page(
        self, patient: str, from_ms: int, to_ms: int, *, after: tuple[int, int] | None = None, limit: int = 100
    ) -> ObservationPage:
        """What was observed in [from, to), the newest first, after the `next` of the page before."""
        table = OBSERVATIONS.c
        statement = select(OBSERVATIONS).where(
            table.patient == patient, table.taken_ms >= from_ms, table.taken_ms < to_ms, table.sent_ms.is_not(None)
        )
        if after is not None:
            at_ms, number = after
            statement = statement.where(
                or_(table.taken_ms < at_ms, and_(table.taken_ms == at_ms, table.number < number))
            )
        statement = statement.order_by(table.taken_ms.desc(), table.number.desc()).limit(limit + 1)
        with reading(self._engine) as connection:
            found = [_observation(row) for row in connection.execute(statement).mappings()]
        last = found[limit - 1] if len(found) > limit else None
        return ObservationPage(items=tuple(found[:limit]), next=None if last is None else (last.taken_ms, last.number))


def _earlier(connection: Connection, author: str, key: str | None) -> RowMapping | None:
    if key is None:
        return None
    table = OBSERVATIONS.c
    statement = select(OBSERVATIONS).where(table.author == author, table.idempotency_key == key)
    return connection.execute(statement).mappings().one_or_none()


def _observation(row: RowMapping) -> Observation:
    pairs: Sequence[Sequence[Any]] = row["readings"]
    return Observation(
        number=row["number"],
        patient=row["patient"],
        author=row["author"],
        taken_ms=row["taken_ms"],
        recorded_ms=row["recorded_ms"],
        readings=tuple((str(metric), float(value)) for metric, value in pairs),
        note=row["note"],
        sent_ms=row["sent_ms"],
    )
