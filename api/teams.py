"""REST: the care teams that one is in, and who is in them at this moment."""

from __future__ import annotations

from fastapi import APIRouter

from api.asking import TheNode, problems
from api.moments import rfc3339_or_none
from api.permit import ThePermit
from api.schema import Answer, Time
from contracts.policy import Role

router = APIRouter(prefix="/api/v1", tags=["session"])


class TeamMember(Answer):
    """Somebody who is in the team at this moment. `until` null: until further notice."""

    name: str
    full_name: str | None
    role: Role
    until: Time | None


class CareTeam(Answer):
    """A care team: units of the roster, `patients` named one by one, or everybody; and who is in it."""

    name: str
    everybody: bool
    units: list[str]
    patients: int
    members: list[TeamMember]


class CareTeams(Answer):
    """The teams of the caller, by name. None where nobody has an account."""

    items: list[CareTeam]


@router.get("/teams", responses=problems(503))
async def teams(node: TheNode, permit: ThePermit) -> CareTeams:
    """The care teams that one is in at this moment, with everybody who is in them too."""
    now_ms = node.clock.now_ms()
    found = {team.name: (team, list[TeamMember]()) for team in permit.who.teams(now_ms)}
    for user, memberships in node.accounts.people():
        for held in memberships:
            if held.holds(now_ms) and held.team.name in found:
                member = TeamMember(
                    name=user.name, full_name=user.full_name, role=user.role, until=rfc3339_or_none(held.until_ms)
                )
                found[held.team.name][1].append(member)
    return CareTeams(
        items=[
            CareTeam(
                name=name,
                everybody=team.everybody,
                units=sorted(team.units),
                patients=len(team.patients),
                members=sorted(members, key=lambda m: m.name),
            )
            for name, (team, members) in sorted(found.items())
        ]
    )
