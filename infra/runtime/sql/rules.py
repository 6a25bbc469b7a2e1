"""Documents as they were at each moment: numbered, immutable versions. Of rules, a worker applies number n from the tick that
names it; `reach` has those of whom to tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Table, insert, select
from sqlalchemy.exc import IntegrityError

from infra.runtime.sql.engine import reading, writing
from infra.runtime.sql.models import RULE_VERSIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVersion:
    """One version: who made it, why, when (ms UTC), and the whole document."""

    number: int
    author: str
    reason: str
    at_ms: int
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outdated:
    """Somebody else made a version first: `current` is the number in force now (0: none)."""

    current: int


class RuleStore:
    """Versions in SQL, numbered from 1 without gaps; there is no way to change or remove one. Thread-safe.

    Every method raises `Retryable` when the database does not answer.
    """

    def __init__(self, engine: Engine, table: Table = RULE_VERSIONS) -> None:
        """`table`: of which document; rules if none is named."""
        self._engine, self._table = engine, table

    def current(self) -> RuleVersion | None:
        """The newest version; None before the first."""
        with reading(self._engine) as connection:
            return _newest(connection, self._table)

    def get(self, number: int) -> RuleVersion | None:
        """Version `number`."""
        with reading(self._engine) as connection:
            return _one(connection, self._table, number)

    def versions(self) -> list[RuleVersion]:
        """All versions, newest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(self._table).order_by(self._table.c.number.desc())).mappings()
            return [_version(row) for row in rows]

    def add(
        self, document: Mapping[str, Any], *, author: str, reason: str, at_ms: int, expected: int | None = None
    ) -> RuleVersion | Outdated:
        """Add a version under the next number. With `expected`, only if that is the number in force (0: none yet)."""
        while True:
            try:
                with writing(self._engine) as connection:
                    newest = _newest(connection, self._table)
                    number = newest.number if newest else 0
                    if expected is not None and expected != number:
                        return Outdated(current=number)
                    version = RuleVersion(
                        number=number + 1, author=author, reason=reason, at_ms=at_ms, document=dict(document)
                    )
                    connection.execute(
                        insert(self._table).values(
                            number=version.number, author=author, reason=reason, at_ms=at_ms, document=dict(document)
                        )
                    )
                    return version
            except IntegrityError:
                if self.get(number + 1) is None:  # not a race for the number: the row itself was refused
                    raise

    def ensure(self, document: Mapping[str, Any], *, author: str, reason: str, at_ms: int) -> RuleVersion:
        """The version in force, after adding `document` as number 1 where there is none. Safe in a race."""
        added = self.add(document, author=author, reason=reason, at_ms=at_ms, expected=0)
        if isinstance(added, RuleVersion):
            return added
        found = self.current()
        assert found is not None, "versions are never removed"
        return found


def _newest(connection: Connection, table: Table) -> RuleVersion | None:
    statement = select(table).order_by(table.c.number.desc()).limit(1)
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else _version(row)


def _one(connection: Connection, table: Table, number: int) -> RuleVersion | None:
    statement = select(table).where(table.c.number == number)
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else _version(row)


def _version(row: RowMapping) -> RuleVersion:
    return RuleVersion(**row)
