"""How much the alarms ask of people, counted in SQL on the view `called_alarms`; alike on SQLite and PostgreSQL.

Alarms that have called nobody (behind another one, found in late data) are no burden and do not count. An alarm counts on the
day that it first called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, case, column, func, literal, select, table
from sqlalchemy.sql.expression import Select

from contracts.alarms import Priority
from contracts.canary import CANARIES
from contracts.groups import GROUPS
from contracts.policy import Team
from infra.runtime.sql.models import PATIENTS
from infra.runtime.sql.personal import LABELS
from infra.runtime.sql.scope import of_team

DIMENSIONS: Final = ("unit", "rule", "device", "model", "patient")
_ALARMS: Final = table(
    "called_alarms",
    *map(column, ("alarm_id", "patient", "unit", "rule", "device", "model", "priority", "label", "called_ms", "acknowledge_ms")),
)
_NOT_PATIENTS: Final = (*GROUPS, *CANARIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one unit, rule, device, model or patient (`key`, None: none is known) made of the burden. `by_priority` is the
    priority an alarm has come to; `labels` counts alarms by what people said of them; `acknowledged`: how many were ever
    acknowledged, `median_ms`: how long that took from the time that the alarm carries, None where nobody did."""

    key: str | None
    alarms: int
    by_priority: Mapping[Priority, int]
    labels: Mapping[str, int]
    acknowledged: int
    median_ms: float | None

    @property
    def labelled(self) -> int:
        return sum(self.labels.values())

    @property
    def precision(self) -> float | None:
        """The share of the labelled alarms that was actionable; None where nobody has labelled any: unknown is not 0."""
        return self.labels["actionable"] / self.labelled if self.labelled else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Burden:
    """Alarms that first called somebody in [`from_ms`, `to_ms`). `people`: how many patients each unit of the roster has.
    `shares`: by dimension, most alarms first."""

    from_ms: int
    to_ms: int
    people: Mapping[str | None, int]
    total: Share
    shares: Mapping[str, Sequence[Share]]


def burden(connection: Connection, from_ms: int, to_ms: int, team: Team | None = None) -> Burden:
    """The whole ledger of a span of time, of a team's patients or of everybody, in one transaction."""
    during = and_(_ALARMS.c.called_ms >= from_ms, _ALARMS.c.called_ms < to_ms, of_team(team, _ALARMS.c.patient))
    people = and_(PATIENTS.c.patient.not_in(_NOT_PATIENTS), of_team(team, PATIENTS.c.patient))
    roster = select(PATIENTS.c.unit, func.count()).where(people).group_by(PATIENTS.c.unit)
    everything = _shares(connection, during, literal(None))
    nothing = Share(
        key=None, alarms=0, by_priority=dict.fromkeys(Priority, 0), labels=dict.fromkeys(LABELS, 0), acknowledged=0,
        median_ms=None,
    )  # fmt: skip
    known = {"model": _ALARMS.c.model.is_not(None), "patient": _ALARMS.c.patient.not_in(_NOT_PATIENTS)}
    return Burden(
        from_ms=from_ms,
        to_ms=to_ms,
        people={row[0]: row[1] for row in connection.execute(roster)},
        total=everything[0] if everything else nothing,
        shares={
            name: _shares(connection, and_(during, known.get(name, literal(True))), _ALARMS.c[name]) for name in DIMENSIONS
        },
    )


def _shares(connection: Connection, chosen: ColumnElement[bool], by: ColumnElement[Any]) -> list[Share]:
    key = by.label("key")
    of_label = {name: func.sum(case((_ALARMS.c.label == name, 1), else_=0)) for name in LABELS}
    of_priority = {p: func.sum(case((_ALARMS.c.priority == p.value, 1), else_=0)) for p in Priority}
    statement = (
        select(key, func.count(), func.count(_ALARMS.c.acknowledge_ms), *of_priority.values(), *of_label.values())
        .where(chosen)
        .group_by("key")
        .order_by(func.count().desc(), key)
    )
    medians = {row[0]: row[1] for row in connection.execute(_medians(chosen, by))}
    found: list[Share] = []
    for name, alarms, acknowledged, *counts in connection.execute(statement):
        median = medians.get(name)
        found.append(
            Share(
                key=name,
                alarms=alarms,
                by_priority=dict(zip(Priority, map(int, counts[: len(Priority)]), strict=True)),
                labels=dict(zip(LABELS, map(int, counts[len(Priority) :]), strict=True)),
                acknowledged=acknowledged,
                median_ms=None if median is None else float(median),
            )
        )
    return found


def _medians(chosen: ColumnElement[bool], by: ColumnElement[Any]) -> Select[Any]:
    """The median time to acknowledge of each key: the mean of the middle one or two. SQLite has no function for it."""
    place = func.row_number().over(partition_by=by, order_by=(_ALARMS.c.acknowledge_ms, _ALARMS.c.alarm_id)).label("place")
    number = func.count().over(partition_by=by).label("number")
    ranked = (
        select(by.label("key"), _ALARMS.c.acknowledge_ms.label("took_ms"), place, number)
        .where(chosen, _ALARMS.c.acknowledge_ms.is_not(None))
        .subquery()
    )
    middle = ranked.c.place.in_([(ranked.c.number + 1) // 2, (ranked.c.number + 2) // 2])
    return select(ranked.c.key, func.avg(ranked.c.took_ms)).where(middle).group_by(ranked.c.key)
