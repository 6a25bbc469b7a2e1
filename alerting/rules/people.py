"""Whose limits hold for whom: those of the site, of a unit in place of them, of a patient in place of both.

Where a patient lies and how old they are is part of the rule set, so that the same log gives the same alarms: a move is a new
version, in force at a tick like every other change. `vigil rules apply` takes both from the roster.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from sys import intern
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.dataclasses import dataclass

from alerting.rules.base import Direction
from alerting.rules.warning import OLDEST_YEARS

if TYPE_CHECKING:
    from alerting.rules.model import LimitRule

MAX_PATIENTS: Final = 50_000
MAX_UNITS: Final = 1_000
PatientKey = Annotated[str, Field(min_length=1, max_length=128)]
UnitName = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(intern)]
_Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
_CONFIG: Final = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class OwnLimit:
    """A limit of a unit or a patient in place of everybody's; delays and margins stay. `critical` None: there is none."""

    limit: float
    critical: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Scale2:
    """A clinician's documented decision that a patient has confirmed hypercapnic respiratory failure, so that NEWS2 judges oxygen
    saturation on scale 2 (target 88 to 92 %) from `decided` on (Royal College of Physicians 2017)."""

    author: _Said
    reason: _Said
    decided: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Person:
    """What rules need to know of a patient. None: nobody knows it."""

    unit: UnitName | None = None
    age_years: Annotated[float, Field(ge=0, le=OLDEST_YEARS)] | None = None
    scale_2: Scale2 | None = None


Own = Mapping[str, OwnLimit]


def own_limits(
    patient: str, units: Mapping[str, Own], patients: Mapping[str, Own], people: Mapping[str, Person]
) -> dict[str, OwnLimit]:
    """The limits that hold for a patient in place of the site's, by the name of the rule."""
    person = people.get(patient)
    of_unit = units.get(person.unit, {}) if person is not None and person.unit is not None else {}
    return {**of_unit, **patients.get(patient, {})}


def from_roster(
    people: Mapping[str, Person], roster: Iterable[tuple[str, str | None, float | None]], units: Collection[str]
) -> dict[str, Person]:
    """`people` with what the roster knows of each patient, unit and age in years, in place of what was known before. Of units,
    those alone that have limits of their own; scale 2 is a decision, and stays."""
    found = dict(people)
    for patient, unit, age_years in roster:
        before = people.get(patient, Person())
        there = before.unit if unit is None else unit if unit in units else None
        now = Person(
            unit=there, age_years=before.age_years if age_years is None else age_years, scale_2=before.scale_2
        )
        if now != Person():
            found[patient] = now
        else:
            found.pop(patient, None)
    return found


def check_limits(
    limits: Iterable[LimitRule], units: Mapping[str, Own], patients: Mapping[str, Own], people: Mapping[str, Person]
) -> None:
    """Raises `ValueError` for limits that cannot be, or contradict each other, for somebody. Names of patients are not told: it
    says which one in the file is meant."""
    by_id = {rule.id: rule for rule in limits}
    _agree(by_id, {})
    for unit, own in units.items():
        _checked(by_id, own, f"units: the limits of unit {unit}")
    for number, patient in enumerate(patients, start=1):
        together = own_limits(patient, units, patients, people)
        _checked(by_id, together, f"patients: the limits of patient {number} in the file")


def _checked(by_id: Mapping[str, LimitRule], own: Own, whose: str) -> None:
    try:
        _agree(by_id, own)
    except ValueError as error:
        raise ValueError(f"{whose}: {error}") from None


def _agree(by_id: Mapping[str, LimitRule], own: Own) -> None:
    rules = dict(by_id)
    for name, limit in own.items():
        if name not in by_id:
            raise ValueError(f"{name[:80]} is no rule of limits; there are {', '.join(by_id) or 'none'}")
        try:
            rules[name] = by_id[name].with_limits(limit)
        except ValidationError as error:
            raise ValueError(f"{name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
    for rule in rules.values():
        low = rules.get(f"{rule.metric}_{Direction.LOW}")
        if rule.direction is Direction.HIGH and low is not None and low.limit >= rule.limit:
            raise ValueError(
                f"{rule.id} says {rule.limit:g} and {low.id} says {low.limit:g}: they contradict each other; "
                f"the low limit must lie below the high one"
            )
