"""Where the policy and the accounts disagree about who looks after whom: people who would be called and could not look. Pure.

Who is called is the policy's to say, who may see whom the accounts'. They are kept apart, since a person may be called for years
before anybody has accounts. Where there are accounts, this names every difference that leaves somebody called in front of a
closed door, and teams of one name that are not the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from alerting.reach.faults import Fault
from alerting.reach.policy import Policy
from contracts.policy import Action, Allowed, Patient, Subject, Team, allow


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The accounts that may be used, and their care teams, those without members too."""

    people: Mapping[str, Subject]
    teams: Sequence[Team]


def differences(policy: Policy, accounts: Accounts, at_ms: int) -> list[Fault]:
    """What to tell whoever puts the policy in force at wall time `at_ms`; nothing where there are no accounts at all."""
    if not accounts.people:
        return []
    return [*_strangers(policy, accounts), *_blind(policy, accounts, at_ms), *_other_teams(policy, accounts, at_ms)]


def _strangers(policy: Policy, accounts: Accounts) -> Iterator[Fault]:
    for name in policy.people:
        if name not in accounts.people:
            why = "has no account that may be used, so a message opens nothing for them"
            yield ("people", name), f"{why}: vigil users add {name}"


def _blind(policy: Policy, accounts: Accounts, at_ms: int) -> Iterator[Fault]:
    """Who is called for patients that their account may not see."""
    for team, entry in policy.teams.items():
        for number, member in enumerate(entry.members):
            if member.to_ms > at_ms:
                begins_ms = max(at_ms, round(member.from_ms)) if member.from_ is not None else at_ms
                yield from _closed(
                    ("teams", team, "members", number, "person"), member.person, entry.units, entry.patients, accounts, begins_ms
                )
    for name, rota in policy.rotas.items():
        if rota.unit is not None:
            for number, shift in enumerate(rota.shifts):
                for person in shift.people:
                    loc = ("rotas", name, "shifts", number, "people")
                    yield from _closed(loc, person, (rota.unit,), (), accounts, at_ms)


def _closed(
    loc: tuple[int | str, ...], person: str, units: Sequence[str], patients: Sequence[str], accounts: Accounts, at_ms: int
) -> Iterator[Fault]:
    subject = accounts.people.get(person)
    if subject is None:
        return  # told already
    asked = [("unit", unit, Patient(key="", unit=unit)) for unit in units]
    asked += [("patient", key, Patient(key=key)) for key in patients]
    for kind, name, patient in asked:
        if not isinstance(allow(subject, Action.ALARM_SEE, patient, at_ms), Allowed):
            what = f"unit {name!r}" if kind == "unit" else "a patient of this team"
            why = f"{person} is called for {what}, and their account may not see it"
            yield loc, f"{why}: vigil teams add TEAM {person} --{kind} …"


def _other_teams(policy: Policy, accounts: Accounts, at_ms: int) -> Iterator[Fault]:
    """Teams of one name that have other units, patients or people."""
    for team in accounts.teams:
        ours = policy.teams.get(team.name)
        if ours is None:
            continue
        theirs = {name for name, subject in accounts.people.items() if team in subject.teams(at_ms)}
        here = {member.person for member in ours.members if member.holds(at_ms)}
        apart = [
            f"{what} {', '.join(sorted(a ^ b)) if what != 'patients' else len(a ^ b)}"
            for what, a, b in (
                ("people", theirs, here), ("units", set(team.units), set(ours.units)),
                ("patients", set(team.patients), set(ours.patients)),
            )
            if a != b
        ]  # fmt: skip
        if apart:
            why = "is not the team of this name among the accounts"
            yield ("teams", team.name), f"{why}; only in one of both: {'; '.join(apart)}"
