"""Who is called is the policy's to say, who may see whom the accounts': each difference that leaves somebody blind is named."""

from __future__ import annotations

from alerting.reach.accounts import Accounts, differences
from alerting.reach.files import check
from alerting.reach.policy import Policy
from contracts.policy import Membership, Role, Subject, Team

NOW_MS = 1_773_000_000_000
POLICY = """
[people.ann]
channels = [{ channel = "page" }]
[people.ben]
channels = [{ channel = "page" }]
[teams.red]
units = ["A", "B"]
patients = ["p-9"]
members = [{ person = "ann", role = "nurse" }, { person = "ben", role = "nurse", to = 2026-01-01T00:00:00Z }]
[rotas.night]
unit = "C"
role = "nurse"
zone = "UTC"
[[rotas.night.shifts]]
from = "00:00"
to = "00:00"
people = ["ben"]
[[routes]]
plan = "p"
[plans.p]
steps = [{ to = ["team:nurse", "rota:nurse"] }]
"""


def subject(name: str, *teams: Team, role: Role = Role.NURSE) -> Subject:
    return Subject(name=name, role=role, memberships=tuple(Membership(team=team, from_ms=0) for team in teams))


def found(*people: Subject, teams: tuple[Team, ...] = ()) -> list[tuple[str, str]]:
    policy = check(POLICY)
    assert isinstance(policy, Policy), policy
    said = differences(policy, Accounts(people={p.name: p for p in people}, teams=teams), NOW_MS)
    return [(".".join(map(str, loc)), reason) for loc, reason in said]


def test_where_there_are_no_accounts_nothing_is_said() -> None:
    assert found() == []


def test_who_has_no_account_or_may_not_see_whom_they_are_called_for_is_named() -> None:
    half = Team(name="half", units=frozenset({"A"}))
    assert found(subject("ann", half)) == [
        ("people.ben", "has no account that may be used, so a message opens nothing for them: vigil users add ben"),
        ("teams.red.members.0.person",
         "ann is called for unit 'B', and their account may not see it: vigil teams add TEAM ann --unit …"),
        ("teams.red.members.0.person",
         "ann is called for a patient of this team, and their account may not see it: vigil teams add TEAM ann --patient …"),
    ]  # fmt: skip
    assert [loc for loc, _ in found(subject("ann", half), subject("ben", role=Role.OPS))][2:] == ["rotas.night.shifts.0.people"]
    everybody = Team(name="all", everybody=True)
    assert found(subject("ann", everybody), subject("ben", everybody)) == []


def test_a_team_of_the_same_name_is_the_same_team() -> None:
    red = Team(name="red", units=frozenset({"A", "B"}), patients=frozenset({"p-9"}))
    site = Team(name="all", everybody=True)
    assert found(subject("ann", red), subject("ben", site), teams=(red, site)) == []
    other = Team(name="red", units=frozenset({"B", "D"}))
    assert found(subject("ann", site), subject("ben", other, site), teams=(other, site)) == [
        ("teams.red",
         "is not the team of this name among the accounts; only in one of both: people ann, ben; units A, D; patients 1")
    ]  # fmt: skip
