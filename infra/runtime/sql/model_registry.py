"""Which versions of which models there are, and every change of their stages: who, why, when, on what evidence.

A change is a row that is never altered. It carries the number of a new version of the rules, made in the same transaction
with the rules as they were: ticks name that number, windows carry it, and so every worker takes the change up at the same
place of the log. The stages at version n are what all changes up to n say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, RowMapping, func, insert, select
from sqlalchemy.exc import IntegrityError

from contracts.registry import FOLLOWS, Stage, verdict
from infra.runtime.sql.engine import reading, writing
from infra.runtime.sql.models import MODEL_CHANGES, MODEL_VERSIONS, RULE_VERSIONS

_ATTEMPTS: Final = 10
_T = TypeVar("_T")
Key = tuple[str, str]
"""Name and version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A registered bundle. `digest`: SHA-256 of its manifest; a bundle with another one is refused. `at_ms`: UTC."""

    name: str
    version: str
    digest: str
    kind: str
    framework: str
    author: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageChange:
    """One change. `number` counts all changes from 1; `config_version`: in force from the tick that names it, 0 for what a
    release ships. `evidence`: what the gates looked at, and what they said."""

    number: int
    name: str
    version: str
    stage: Stage
    author: str
    reason: str
    at_ms: int
    config_version: int
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A version as it stands: the newest change of its stage, and in a line what the gates said of it last."""

    model: ModelVersion
    change: StageChange
    gates: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was done, and why."""

    reason: str


class ModelRegistry:
    """The registry in SQL. Thread-safe. Every method raises `Retryable` when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def versions(self) -> list[ModelVersion]:
        """Every registered version, by name and time."""
        order = (MODEL_VERSIONS.c.name, MODEL_VERSIONS.c.at_ms, MODEL_VERSIONS.c.version)
        with reading(self._engine) as connection:
            rows = connection.execute(select(MODEL_VERSIONS).order_by(*order)).mappings()
            return [ModelVersion(**row) for row in rows]

    def changes(self, until: int | None = None) -> list[StageChange]:
        """Every change, oldest first; `until`: only those in force at that version of the rules."""
        with reading(self._engine) as connection:
            found = _changes(connection)
        return [change for change in found if until is None or change.config_version <= until]

    def listed(self) -> list[Listed]:
        """Every registered version as it stands, by name and time."""
        versions, changes = self.versions(), self.changes()  # a version that comes between the two has a change already
        last = {(c.name, c.version): c for c in changes}
        judged = {(c.name, c.version): c.evidence["gates"] for c in changes if c.evidence.get("gates")}
        return [
            Listed(model=v, change=last[v.name, v.version], gates=verdict(judged.get((v.name, v.version), ()))) for v in versions
        ]

    def register(
        self,
        found: ModelVersion,
        *,
        reason: str,
        stage: Stage = Stage.CANDIDATE,
        shipped: bool = False,
        evidence: Mapping[str, Any] | None = None,
    ) -> StageChange | Refused:
        """Make a version known. `shipped`: as part of a release, at whatever stage, in force from the beginning."""

        def decide(connection: Connection) -> StageChange | Refused:
            known = select(MODEL_VERSIONS).where(
                MODEL_VERSIONS.c.name == found.name, MODEL_VERSIONS.c.version == found.version
            )
            if connection.execute(known).first() is not None:
                return Refused(reason=f"{found.name} {found.version} is registered already; a version never changes")
            connection.execute(
                insert(MODEL_VERSIONS).values(
                    name=found.name, version=found.version, digest=found.digest, kind=found.kind,
                    framework=found.framework, author=found.author, at_ms=found.at_ms,
                )
            )  # fmt: skip
            # A candidate does nothing, so no tick needs to tell of it.
            config_version = 0 if shipped else _newest_rules(connection)[0]
            return _write(
                connection, (found.name, found.version), stage, found.author, reason, found.at_ms, config_version,
                evidence or {},
            )

        return self._decided(decide)

    def move(
        self,
        name: str,
        version: str,
        stage: Stage,
        *,
        author: str,
        reason: str,
        at_ms: int,
        rules: Mapping[str, Any],
        evidence: Mapping[str, Any] | None = None,
        champion: str | None = None,
    ) -> Sequence[StageChange] | Refused:
        """Bring a version to `stage`; a new champion retires the one before it in the same transaction.

        `rules`: the document of the rules in force where SQL holds none yet. `champion`: only if that is the champion now
        ("": only if there is none), so that a decision made about another one does not hold.
        """

        def decide(connection: Connection) -> Sequence[StageChange] | Refused:
            changes = _changes(connection)
            at = stages(changes)
            now = at.get((name, version))
            if now is None:
                return Refused(reason=f"{name} {version} is not registered")
            if stage not in FOLLOWS[now]:
                return Refused(reason=f"{name} {version} is {now}, and {stage} cannot follow that")
            before = champion_of(at, name)
            if champion is not None and champion != (before or ""):
                return Refused(reason=f"the champion of {name} has changed meanwhile: it is {before or 'none'} now")
            if stage is Stage.CHAMPION and now is Stage.RETIRED and version not in champions(changes, name):
                return Refused(reason=f"{name} {version} was never champion: take it through shadow and the gates")
            if stage is Stage.SHADOW and (other := _at_stage(at, name, Stage.SHADOW)) is not None:
                return Refused(reason=f"{name} {other} is shadow already: retire it first")
            number = _next_rules(connection, rules, author=author, reason=reason, at_ms=at_ms)
            made = []
            if stage is Stage.CHAMPION and before is not None:
                note = f"replaced by {version}: {reason}"
                made.append(_write(connection, (name, before), Stage.RETIRED, author, note, at_ms, number, {}))
            made.append(_write(connection, (name, version), stage, author, reason, at_ms, number, evidence or {}))
            return made

        return self._decided(decide)

    def _decided(self, decide: Callable[[Connection], _T]) -> _T:
        for attempt in range(_ATTEMPTS):
            try:
                with writing(self._engine) as connection:
                    return decide(connection)
            except IntegrityError:  # somebody else took the number first
                if attempt + 1 == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")


def stages(changes: Iterable[StageChange]) -> dict[Key, Stage]:
    """The stage of each version after `changes`, oldest first."""
    return {(change.name, change.version): change.stage for change in changes}


def champion_of(at: Mapping[Key, Stage], name: str) -> str | None:
    """The version of `name` that is champion."""
    return _at_stage(at, name, Stage.CHAMPION)


def shadow_of(at: Mapping[Key, Stage], name: str) -> str | None:
    """The version of `name` that is shadow."""
    return _at_stage(at, name, Stage.SHADOW)


def _at_stage(at: Mapping[Key, Stage], name: str, wanted: Stage) -> str | None:
    return next((v for (n, v), stage in at.items() if n == name and stage is wanted), None)


def champions(changes: Iterable[StageChange], name: str) -> list[str]:
    """Every version of `name` that was ever champion, each once, by when it last became it: the newest last."""
    found: dict[str, None] = {}
    for change in changes:
        if change.name == name and change.stage is Stage.CHAMPION:
            found.pop(change.version, None)
            found[change.version] = None
    return list(found)


def _changes(connection: Connection) -> list[StageChange]:
    rows = connection.execute(select(MODEL_CHANGES).order_by(MODEL_CHANGES.c.number)).mappings()
    return [_change(row) for row in rows]


def _change(row: RowMapping) -> StageChange:
    return StageChange(**{**row, "stage": Stage(row["stage"])})


def _write(
    connection: Connection,
    key: Key,
    stage: Stage,
    author: str,
    reason: str,
    at_ms: int,
    config_version: int,
    evidence: Mapping[str, Any],
) -> StageChange:
    last = connection.execute(select(func.max(MODEL_CHANGES.c.number))).scalar() or 0
    change = StageChange(
        number=last + 1, name=key[0], version=key[1], stage=stage, author=author, reason=reason, at_ms=at_ms,
        config_version=config_version, evidence=dict(evidence),
    )  # fmt: skip
    connection.execute(
        insert(MODEL_CHANGES).values(
            number=change.number, name=key[0], version=key[1], stage=stage.value, author=author, reason=reason,
            at_ms=at_ms, config_version=config_version, evidence=dict(evidence),
        )
    )  # fmt: skip
    return change


def _newest_rules(connection: Connection) -> tuple[int, Mapping[str, Any] | None]:
    statement = select(RULE_VERSIONS.c.number, RULE_VERSIONS.c.document).order_by(RULE_VERSIONS.c.number.desc()).limit(1)
    row = connection.execute(statement).first()
    return (0, None) if row is None else (int(row.number), row.document)


def _next_rules(
    connection: Connection, rules: Mapping[str, Any], *, author: str, reason: str, at_ms: int
) -> int:
    number, document = _newest_rules(connection)
    connection.execute(
        insert(RULE_VERSIONS).values(
            number=number + 1, author=author, reason=f"models: {reason}", at_ms=at_ms,
            document=_without_version(document if document is not None else rules),
        )
    )  # fmt: skip
    return number + 1


def _without_version(document: Mapping[str, Any]) -> dict[str, Any]:
    """A rule set says its number inside, too, where it was dumped whole; the new one has another."""
    return {name: value for name, value in document.items() if name != "version"}
