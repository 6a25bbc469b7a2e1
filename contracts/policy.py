"""Who may do what to whom: one table, one function, used by REST, the live feed, exports and the command line. Pure.

Deny by default. A role has an action only where `GRANTS` names it, for the patients of its care teams (`TEAM`) or for the whole
site (`SITE`). A care team is a set of units and patients; being in it has a beginning and an end, half-open, in milliseconds UTC.
Time is an argument: a membership that has ended grants nothing from that millisecond on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contracts.canary import CANARIES, is_canary
from contracts.groups import is_group


class Role(StrEnum):
    """What an account is for. `LOCAL` is no account's: whoever sits at a machine that has no accounts yet."""

    NURSE = "nurse"
    DOCTOR = "doctor"
    CHARGE = "charge"
    ADMINISTRATOR = "administrator"
    OPS = "ops"
    AUDITOR = "auditor"
    DEVICE = "device"
    LOCAL = "local"


ACCOUNT_ROLES: Final = tuple(role for role in Role if role is not Role.LOCAL)


class Action(StrEnum):
    """What can be done. The names stand in the audit log, so they stay."""

    ANYBODY = "anybody"
    SYSTEM_SEE = "system.see"
    SESSION_OWN = "session.own"
    SESSIONS_MANAGE = "sessions.manage"
    PATIENT_SEE = "patient.see"
    ALARM_SEE = "alarm.see"
    LIVE_FOLLOW = "live.follow"
    ALARM_ACT = "alarm.act"
    OBSERVATION_WRITE = "observation.write"
    LIMITS_CHANGE = "limits.change"
    NOTICE_READ = "notice.read"
    ALARM_EXPORT = "alarm.export"
    BURDEN_SEE = "burden.see"
    AUDIT_SEE = "audit.see"


MEANING: Final[Mapping[Action, str]] = {
    Action.ANYBODY: "log in, learn whether one has to, and whether the server is alive",
    Action.SYSTEM_SEE: "what this server is, how it does, the catalogue of vital signs, how long alarms may be quiet",
    Action.SESSION_OWN: "see, prolong and end one's own sessions",
    Action.SESSIONS_MANAGE: "see and end everybody's sessions",
    Action.PATIENT_SEE: "names, beds, devices, newest values, trends, windows, scores, observations and limits of patients",
    Action.ALARM_SEE: "alarms, their reasons and their history, and who looks after whom",
    Action.LIVE_FOLLOW: "the live feed of values, scores and alarms",
    Action.ALARM_ACT: "acknowledge, snooze, assign, escalate, label, note, resolve, close alarms; hand over, give a patient",
    Action.OBSERVATION_WRITE: "write down what was observed at the bedside",
    Action.LIMITS_CHANGE: "give a patient alarm limits of their own",
    Action.NOTICE_READ: "say that a notice to oneself was read",
    Action.ALARM_EXPORT: "alarms with their history as files",
    Action.BURDEN_SEE: "how much the alarms ask of people",
    Action.AUDIT_SEE: "who has seen and done what",
}


class Reach(StrEnum):
    """For whom a grant holds."""

    TEAM = "team"  # the patients of the care teams that one is in at that moment
    SITE = "site"  # all patients, or nothing that is about patients


# Anybody who can reach the server, without a log-in.
PUBLIC: Final = frozenset({Action.ANYBODY})
# What leaves everything as it was; all that a read-only session (a wall display) may do.
READS: Final = frozenset(
    {
        Action.ANYBODY, Action.SYSTEM_SEE, Action.SESSION_OWN, Action.PATIENT_SEE, Action.ALARM_SEE, Action.LIVE_FOLLOW,
        Action.BURDEN_SEE,
    }
)  # fmt: skip

_EVERYBODY: Final = dict.fromkeys((Action.SYSTEM_SEE, Action.SESSION_OWN), Reach.SITE)
_PERSON: Final = _EVERYBODY | {Action.NOTICE_READ: Reach.SITE}
_SEES: Final = dict.fromkeys((Action.PATIENT_SEE, Action.ALARM_SEE, Action.LIVE_FOLLOW), Reach.TEAM)
_CARES: Final = _PERSON | _SEES | dict.fromkeys((Action.ALARM_ACT, Action.OBSERVATION_WRITE, Action.LIMITS_CHANGE), Reach.TEAM)
_LEADS: Final = _CARES | {Action.ALARM_EXPORT: Reach.TEAM, Action.BURDEN_SEE: Reach.TEAM}

GRANTS: Final[Mapping[Role, Mapping[Action, Reach]]] = {
    Role.NURSE: _CARES,
    Role.DOCTOR: _LEADS,
    Role.CHARGE: _LEADS,
    Role.ADMINISTRATOR: _PERSON | {Action.SESSIONS_MANAGE: Reach.SITE, Action.BURDEN_SEE: Reach.SITE},
    Role.OPS: _PERSON,
    Role.AUDITOR: _PERSON | {Action.AUDIT_SEE: Reach.SITE},
    Role.DEVICE: _EVERYBODY | _SEES,
    Role.LOCAL: dict.fromkeys((action for action in Action if action not in PUBLIC), Reach.SITE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Whom something is about: the pseudonymous key, and the unit (ward) where the roster knows it."""

    key: str
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A care team. `everybody`: every patient of the site, also those of whom only the stream knows."""

    name: str
    units: frozenset[str] = frozenset()
    patients: frozenset[str] = frozenset()
    everybody: bool = False

    def covers(self, patient: Patient) -> bool:
        """Whether the patient is this team's. The canary is nobody's patient: it has to be named."""
        if patient.key in self.patients:
            return True
        if is_canary(patient.key):
            return False
        return self.everybody or (patient.unit is not None and patient.unit in self.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Being in a team from `from_ms` up to, not including, `until_ms` (None: until further notice)."""

    team: Team
    from_ms: int
    until_ms: int | None = None

    def holds(self, at_ms: int) -> bool:
        return self.from_ms <= at_ms and (self.until_ms is None or at_ms < self.until_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who asks. `read_only`: this session may change nothing, whatever its role."""

    name: str
    role: Role
    memberships: tuple[Membership, ...] = ()
    read_only: bool = False

    def teams(self, at_ms: int) -> tuple[Team, ...]:
        """The teams that the subject is in at that moment."""
        return tuple(m.team for m in self.memberships if m.holds(at_ms))


class Reason(StrEnum):
    """Why not. For the audit log and the answer; none says whether the patient exists."""

    NOT_LOGGED_IN = "not-logged-in"
    ROLE = "role"
    READ_ONLY = "read-only"
    NOT_IN_TEAM = "not-in-team"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Yes. `reach`: for the patients of the teams, or for all."""

    reach: Reach


@dataclass(frozen=True, slots=True)
class Denied:
    """No, and why."""

    reason: Reason


def allow(subject: Subject | None, action: Action, patient: Patient | None, at_ms: int) -> Allowed | Denied:
    """Whether `subject` (None: nobody is logged in) may do `action` at `at_ms`, to `patient` or (None) at all.

    "At all" for an action of care teams means: for whichever patients the teams have, perhaps none. The alarm of a whole group
    stands for patients of every team: it is for whoever is in one.

    >>> ward = Membership(team=Team(name="A", units=frozenset({"Ward A"})), from_ms=0, until_ms=1000)
    >>> nurse = Subject(name="anna", role=Role.NURSE, memberships=(ward,))
    >>> allow(nurse, Action.PATIENT_SEE, Patient(key="p-1", unit="Ward A"), 999)
    Allowed(reach=<Reach.TEAM: 'team'>)
    >>> allow(nurse, Action.PATIENT_SEE, Patient(key="p-1", unit="Ward A"), 1000)
    Denied(reason=<Reason.NOT_IN_TEAM: 'not-in-team'>)
    """
    if action in PUBLIC:
        return Allowed(Reach.SITE)
    if subject is None:
        return Denied(Reason.NOT_LOGGED_IN)
    reach = GRANTS[subject.role].get(action)
    if reach is None:
        return Denied(Reason.ROLE)
    if subject.read_only and action not in READS:
        return Denied(Reason.READ_ONLY)
    if patient is None or reach is Reach.SITE:
        return Allowed(reach)
    group = is_group(patient.key)
    if any(group or team.covers(patient) for team in subject.teams(at_ms)):
        return Allowed(reach)
    return Denied(Reason.NOT_IN_TEAM)


# Everybody at a machine without accounts, the canary included: it is followed by a process of that machine.
_SITE: Final = Team(name="site", everybody=True, patients=frozenset(CANARIES))


def reached(subject: Subject | None, action: Action, at_ms: int) -> Team | None:
    """All patients to whom `subject` may do `action`, as one team; None: it may not do it to any. For lists, so that they are
    filtered where they are made; a property test holds it to `allow`."""
    if subject is None:
        return None
    match allow(subject, action, None, at_ms):
        case Allowed(Reach.SITE):
            return _SITE
        case Allowed():
            pass
        case _:
            return None
    teams = subject.teams(at_ms)
    if not teams:
        return None
    if len(teams) == 1:
        return teams[0]
    return Team(
        name="+".join(sorted(team.name for team in teams)),
        units=frozenset().union(*(team.units for team in teams)),
        patients=frozenset().union(*(team.patients for team in teams)),
        everybody=any(team.everybody for team in teams),
    )
