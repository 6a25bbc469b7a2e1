"""Lists of some people's patients only, filtered by SQL itself: a page is full, and nothing that is left out is read."""

from __future__ import annotations

from sqlalchemy import ColumnElement, false, or_, select, true

from contracts.groups import GROUPS
from contracts.policy import Team
from infra.runtime.sql.models import PATIENTS


def of_team(team: Team | None, patient: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the patient in column `patient` is one of the team's (None: everybody is asked for). The alarm of a whole group is
    every team's."""
    if team is None or team.everybody:
        return true()
    if not team.units and not team.patients:
        return false()
    in_units = select(PATIENTS.c.patient).where(PATIENTS.c.unit.in_(sorted(team.units)))
    return or_(patient.in_(in_units), patient.in_([*sorted(team.patients), *GROUPS]))
