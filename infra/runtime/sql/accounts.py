"""Accounts and care teams in SQL. Whoever changes who may what counts `access_state.revision` up in the same transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from contracts.errors import InvalidInput, VigilError
from contracts.names import good_name
from contracts.policy import ACCOUNT_ROLES, Membership, Role, Subject, Team
from infra.runtime.sql.access_tables import (
    ACCESS_STATE,
    CARE_TEAM_MEMBERS,
    CARE_TEAM_SCOPES,
    CARE_TEAMS,
    SESSIONS,
    USERS,
)
from infra.runtime.sql.engine import reading, writing

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
MAX_TEXT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account, without its password. `disabled_ms`: since when it may not be used."""

    name: str
    full_name: str | None
    role: Role
    created_ms: int
    password_ms: int
    disabled_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Who there is and who cares for whom, as of `revision`."""

    revision: int
    users: Mapping[str, User]
    memberships: Mapping[str, tuple[Membership, ...]]

    def subject(self, name: str, *, read_only: bool = False) -> Subject | None:
        """The account as the policy takes it; None: there is none, or it may not be used."""
        user = self.users.get(name)
        if user is None or user.disabled_ms is not None:
            return None
        return Subject(name=name, role=user.role, memberships=self.memberships.get(name, ()), read_only=read_only)


class AccountStore:
    """Accounts, care teams and memberships. Thread-safe. Every method raises `Retryable` when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # Reading

    def revision(self) -> int:
        """A number that is another one after every change of who may what."""
        with reading(self._engine) as connection:
            return int(connection.execute(select(ACCESS_STATE.c.revision)).scalar_one())

    def directory(self) -> Directory:
        """Everybody, in one transaction."""
        with reading(self._engine) as connection:
            revision = int(connection.execute(select(ACCESS_STATE.c.revision)).scalar_one())
            users = {user.name: user for user in map(_user, connection.execute(select(*_USER_COLUMNS)))}
            teams = _teams(connection)
            memberships: dict[str, tuple[Membership, ...]] = {}
            for row in connection.execute(select(CARE_TEAM_MEMBERS).order_by(CARE_TEAM_MEMBERS.c.from_ms)):
                held = Membership(team=teams[row.team], from_ms=row.from_ms, until_ms=row.until_ms)
                memberships[row.name] = (*memberships.get(row.name, ()), held)
        return Directory(revision=revision, users=users, memberships=memberships)

    def password_hash(self, name: str) -> str | None:
        """The password's hash of an account that may be used; None: no such account."""
        statement = select(USERS.c.password_hash).where(USERS.c.name == name, USERS.c.disabled_ms.is_(None))
        with reading(self._engine) as connection:
            return connection.execute(statement).scalar_one_or_none()

    # Accounts

    def add(self, name: str, role: Role, password_hash: str, *, at_ms: int, full_name: str | None = None) -> None:
        """Make an account. Raises `InvalidInput` for a name or role that cannot be, `VigilError` for one that there is."""
        _check_account(name, role, full_name)
        row = {
            "name": name, "role": role.value, "password_hash": password_hash, "full_name": full_name, "created_ms": at_ms,
            "password_ms": at_ms,
        }  # fmt: skip
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(USERS), row)
                changed(connection)
        except IntegrityError as error:
            raise VigilError(f"There is an account {name} already.", fix=f"vigil users reset {name}") from error

    def set_password(self, name: str, password_hash: str, *, at_ms: int, by: str) -> None:
        """Give an account a new password and let it be used (again); its sessions end."""
        with writing(self._engine) as connection:
            found = connection.execute(
                update(USERS)
                .where(USERS.c.name == name)
                .values(password_hash=password_hash, password_ms=at_ms, disabled_ms=None)
            )
            _need(found.rowcount, name)
            _end_sessions(connection, name, at_ms, by)
            changed(connection)

    def rehash(self, name: str, before: str, password_hash: str) -> None:
        """Replace the hash `before` of the same password by one of today's parameters."""
        with writing(self._engine) as connection:
            connection.execute(
                update(USERS)
                .where(USERS.c.name == name, USERS.c.password_hash == before)
                .values(password_hash=password_hash)
            )

    def disable(self, name: str, *, at_ms: int, by: str) -> None:
        """From now on the account may not be used, and its sessions end. What it did stays under its name."""
        with writing(self._engine) as connection:
            found = connection.execute(update(USERS).where(USERS.c.name == name).values(disabled_ms=at_ms))
            _need(found.rowcount, name)
            _end_sessions(connection, name, at_ms, by)
            changed(connection)

    def set_role(self, name: str, role: Role) -> None:
        """From now on the account may do what `role` may, in its running sessions too."""
        _check_account(name, role, None)
        with writing(self._engine) as connection:
            found = connection.execute(update(USERS).where(USERS.c.name == name).values(role=role.value))
            _need(found.rowcount, name)
            changed(connection)

    # Care teams

    def cover(
        self, team: str, *, units: Iterable[str] = (), patients: Iterable[str] = (), everybody: bool = False
    ) -> None:
        """Make the team if there is none, and let it cover these as well. Raises `InvalidInput`."""
        _check_text("team", team)
        wanted = [("unit", unit) for unit in units] + [("patient", patient) for patient in patients]
        for kind, key in wanted:
            if kind == "patient" and not good_name(key):
                raise InvalidInput("patient", "must be a key of 1 to 128 printable characters")
            if kind == "unit":
                _check_text("unit", key)
        with writing(self._engine) as connection:
            if connection.execute(select(CARE_TEAMS.c.team).where(CARE_TEAMS.c.team == team)).first() is None:
                connection.execute(insert(CARE_TEAMS), {"team": team, "everybody": int(everybody)})
            elif everybody:
                connection.execute(update(CARE_TEAMS).where(CARE_TEAMS.c.team == team).values(everybody=1))
            scopes = CARE_TEAM_SCOPES.c
            known = {
                (row[0], row[1])
                for row in connection.execute(select(scopes.kind, scopes.key).where(scopes.team == team))
            }
            rows = [
                {"team": team, "kind": kind, "key": key}
                for kind, key in dict.fromkeys(wanted)
                if (kind, key) not in known
            ]
            if rows:
                connection.execute(insert(CARE_TEAM_SCOPES), rows)
            changed(connection)

    def join(self, team: str, name: str, *, from_ms: int, until_ms: int | None = None) -> None:
        """Let an account be in a team for a time. Raises `InvalidInput`, `VigilError` when there is no such account or team."""
        if until_ms is not None and until_ms <= from_ms:
            raise InvalidInput("until", "must be after `from`")
        with writing(self._engine) as connection:
            if connection.execute(select(USERS.c.name).where(USERS.c.name == name)).first() is None:
                raise VigilError(f"There is no account {name}.", fix=f"vigil users add {name} --role ROLE")
            if connection.execute(select(CARE_TEAMS.c.team).where(CARE_TEAMS.c.team == team)).first() is None:
                raise VigilError(f"There is no care team {team}.", fix="vigil teams add TEAM NAME --unit UNIT")
            members = CARE_TEAM_MEMBERS
            same = (members.c.team == team) & (members.c.name == name) & (members.c.from_ms == from_ms)
            connection.execute(delete(members).where(same))
            connection.execute(insert(members), {"team": team, "name": name, "from_ms": from_ms, "until_ms": until_ms})
            changed(connection)

    def leave(self, team: str, name: str, *, at_ms: int) -> bool:
        """End at `at_ms` every membership of the account in the team that has begun, and forget those that have not. False:
        there was none. What was is kept: it says who could see whom, and when."""
        members = CARE_TEAM_MEMBERS
        theirs = (members.c.team == team) & (members.c.name == name)
        running = theirs & (members.c.until_ms.is_(None) | (members.c.until_ms > at_ms))
        with writing(self._engine) as connection:
            later = connection.execute(delete(members).where(running, members.c.from_ms >= at_ms)).rowcount
            now = connection.execute(update(members).where(running).values(until_ms=at_ms)).rowcount
            changed(connection)
        return bool(later or now)

    def teams(self) -> dict[str, Team]:
        """Every team by its name."""
        with reading(self._engine) as connection:
            return _teams(connection)


_USER_COLUMNS: Final = [c for c in USERS.c if c.name != "password_hash"]


def changed(connection: Connection) -> None:
    """Tell every API node that rights have changed."""
    connection.execute(update(ACCESS_STATE).values(revision=ACCESS_STATE.c.revision + 1))


def _user(row: object) -> User:
    fields = row._asdict()  # type: ignore[attr-defined]
    return User(**{**fields, "role": Role(fields["role"])})


def _teams(connection: Connection) -> dict[str, Team]:
    scopes: dict[tuple[str, str], set[str]] = {}
    for row in connection.execute(select(CARE_TEAM_SCOPES)):
        scopes.setdefault((row.team, row.kind), set()).add(row.key)
    return {
        row.team: Team(
            name=row.team,
            units=frozenset(scopes.get((row.team, "unit"), ())),
            patients=frozenset(scopes.get((row.team, "patient"), ())),
            everybody=bool(row.everybody),
        )
        for row in connection.execute(select(CARE_TEAMS).order_by(CARE_TEAMS.c.team))
    }


def _end_sessions(connection: Connection, name: str, at_ms: int, by: str) -> None:
    connection.execute(
        update(SESSIONS)
        .where(SESSIONS.c.name == name, SESSIONS.c.ended_ms.is_(None))
        .values(ended_ms=at_ms, ended_by=by)
    )


def _need(rows: int, name: str) -> None:
    if rows == 0:
        raise VigilError(f"There is no account {name}.", fix="vigil users list")


def _check_account(name: str, role: Role, full_name: str | None) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "name",
            "must be 1 to 64 of a-z, 0-9, and . _ @ - after the first; small letters, for people type them in a hurry",
        )
    if role not in ACCOUNT_ROLES:
        raise InvalidInput("role", f"must be one of {', '.join(ACCOUNT_ROLES)}")
    if full_name is not None:
        _check_text("full_name", full_name)


def _check_text(field: str, text: str) -> None:
    if not (0 < len(text) <= MAX_TEXT and text.isprintable() and text == text.strip()):
        raise InvalidInput(field, f"must be 1 to {MAX_TEXT} printable characters")
