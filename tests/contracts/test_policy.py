"""Deny by default: nothing is allowed that the table does not name, and nothing for longer than it was given."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from contracts.canary import CANARIES
from contracts.groups import GROUPS, is_group
from contracts.policy import (
    ACCOUNT_ROLES,
    GRANTS,
    MEANING,
    PUBLIC,
    READS,
    Action,
    Allowed,
    Denied,
    Membership,
    Patient,
    Reach,
    Reason,
    Role,
    Subject,
    Team,
    allow,
    reached,
)

# What is about patients, or changes the work of others, spelt out a second time: who reads about whom must not change by a slip.
CLINICAL = {Action.PATIENT_SEE, Action.ALARM_SEE, Action.LIVE_FOLLOW, Action.ALARM_ACT, Action.ALARM_EXPORT}

keys = st.sampled_from(["p-1", "p-2", "p-3", CANARIES[0], GROUPS[0]])
units = st.sampled_from(["Ward A", "Ward B"])
patients = st.builds(Patient, key=keys, unit=st.none() | units)
teams = st.builds(
    Team, name=st.text(max_size=3), units=st.frozensets(units), patients=st.frozensets(keys), everybody=st.booleans()
)
times = st.integers(0, 20)
memberships = st.builds(Membership, team=teams, from_ms=times, until_ms=st.none() | times)
subjects = st.builds(
    Subject,
    name=st.just("anna"),
    role=st.sampled_from(Role),
    memberships=st.lists(memberships, max_size=3).map(tuple),
    read_only=st.booleans(),
)
actions = st.sampled_from(Action)


@given(subjects, actions, st.none() | patients, times)
def test_what_is_allowed_is_named_in_the_table(
    subject: Subject, action: Action, patient: Patient | None, at_ms: int
) -> None:
    answer = allow(subject, action, patient, at_ms)
    if isinstance(answer, Denied):
        return
    if action in PUBLIC:
        return
    assert GRANTS[subject.role][action] is answer.reach
    assert not subject.read_only or action in READS
    if answer.reach is Reach.TEAM and patient is not None:
        now = [m.team for m in subject.memberships if m.from_ms <= at_ms and (m.until_ms is None or at_ms < m.until_ms)]
        assert any(
            patient.key in t.patients or patient.key in GROUPS
            or (patient.key not in CANARIES and (t.everybody or patient.unit in t.units))
            for t in now
        )  # fmt: skip


@given(subjects, actions, patients, times)
def test_ended_membership_grants_nothing(subject: Subject, action: Action, patient: Patient, at_ms: int) -> None:
    """For the same subject, as if every membership had ended at this very moment, or begins in the next."""
    over = tuple(dataclasses.replace(m, from_ms=0, until_ms=at_ms) for m in subject.memberships)
    later = tuple(dataclasses.replace(m, from_ms=at_ms + 1, until_ms=None) for m in subject.memberships)
    answer = allow(dataclasses.replace(subject, memberships=over + later), action, patient, at_ms)
    assert isinstance(answer, Denied) or answer.reach is Reach.SITE


@given(subjects, actions, patients, times, memberships)
def test_more_membership_never_takes_away(
    subject: Subject, action: Action, patient: Patient, at_ms: int, more: Membership
) -> None:
    if isinstance(allow(subject, action, patient, at_ms), Allowed):
        wider = dataclasses.replace(subject, memberships=(*subject.memberships, more))
        assert isinstance(allow(wider, action, patient, at_ms), Allowed)


@given(subjects, actions.filter(lambda action: action not in PUBLIC), patients, times)
def test_a_list_holds_whom_the_rule_allows(subject: Subject, action: Action, patient: Patient, at_ms: int) -> None:
    team = reached(subject, action, at_ms)
    listed = team is not None and (is_group(patient.key) or team.covers(patient))
    assert listed is isinstance(allow(subject, action, patient, at_ms), Allowed)


@given(actions, st.none() | patients, times)
def test_nobody_may_only_log_in(action: Action, patient: Patient | None, at_ms: int) -> None:
    answer = allow(None, action, patient, at_ms)
    assert isinstance(answer, Allowed) is (action is Action.ANYBODY)
    if isinstance(answer, Denied):
        assert answer.reason is Reason.NOT_LOGGED_IN


def test_no_account_sees_patients_beyond_its_teams() -> None:
    for role in ACCOUNT_ROLES:
        assert all(reach is Reach.TEAM for action, reach in GRANTS[role].items() if action in CLINICAL), role


def test_who_runs_the_system_sees_no_patient() -> None:
    for role in (Role.ADMINISTRATOR, Role.OPS, Role.AUDITOR):
        assert not CLINICAL & GRANTS[role].keys(), role


def test_a_device_changes_nothing() -> None:
    assert GRANTS[Role.DEVICE].keys() <= READS


def test_a_canary_has_to_be_named() -> None:
    canary = Patient(key=CANARIES[0], unit="Ward A")
    assert not Team(name="all", everybody=True, units=frozenset({"Ward A"})).covers(canary)
    assert Team(name="canary", patients=frozenset(CANARIES)).covers(canary)


def test_every_role_has_a_row_and_every_action_a_meaning() -> None:
    assert set(GRANTS) == set(Role)
    assert set(MEANING) == set(Action)
