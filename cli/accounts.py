"""`vigil users` and `vigil teams`: who may log in, and who cares for whom. For whoever runs the machine, on its database."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from contracts.errors import InvalidInput, VigilError
from contracts.policy import ACCOUNT_ROLES, Role
from contracts.reading_json import parse_time
from infra.runtime.clock import SystemClock
from infra.runtime.passwords import check_new_password, hashed
from infra.runtime.settings import load
from infra.runtime.sql.accounts import AccountStore
from infra.runtime.sql.audit import AuditStore, Entry
from infra.runtime.sql.engine import Engine, open_engine, upgrade
from infra.runtime.sql.sessions import Kind, SessionStore

users = typer.Typer(help="Accounts: who may log in, and as what.", no_args_is_help=True)
teams = typer.Typer(help="Care teams: whose patients an account may see, and for how long.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name to log in with: small letters, digits, . _ @ -")]
Team = Annotated[str, typer.Argument(metavar="TEAM", help="Name of the care team.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help="File whose first line is the password; without it you are asked. - reads standard input."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def database() -> Iterator[Engine]:
    """The database of the settings, with the newest schema."""
    url = load().sql_url
    upgrade(url)
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _now_ms() -> int:
    return SystemClock().now_ms()


def _who() -> str:
    return f"os:{getpass.getuser()}"


def _note(engine: Engine, action: str, operation: str, what: str) -> None:
    """A change of who may what is in the audit log like everything else."""
    entry = Entry(at_ms=_now_ms(), actor=_who(), action=action, operation=operation, object=what, outcome="allowed")
    AuditStore(engine).append([entry])


@users.command("add")
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What the account is for.", case_sensitive=False)],
    full_name: Annotated[str | None, typer.Option(help="The person's name, for other people to read.")] = None,
    team: Annotated[str | None, typer.Option(help="Care team to join at once, until further notice.")] = None,
    password_file: PasswordFile = None,
) -> None:
    """Make an account. There are no default passwords: you give one, or are asked for it."""
    if role not in ACCOUNT_ROLES:
        raise VigilError(f"The role {role} is no account's.", fix=f"choose one of {', '.join(ACCOUNT_ROLES)}")
    with database() as engine:
        store = AccountStore(engine)
        if name in store.directory().users:
            raise VigilError(f"There is an account {name} already.", fix=f"vigil users reset {name}")
        if team is not None and team not in store.teams():
            raise VigilError(f"There is no care team {team}.", fix=f"vigil teams add {team} --unit UNIT")
        first = not store.directory().users
        store.add(name, role, hashed(_password(name, password_file)), at_ms=_now_ms(), full_name=full_name)
        _note(engine, "accounts.change", "vigil users add", f"{name} as {role}")
        if team is not None:
            store.join(team, name, from_ms=_now_ms())
            _note(engine, "accounts.change", "vigil teams add", f"{name} in {team}")
    typer.echo(f"{name} may log in as {role}.")
    if first:
        typer.echo("From now on everybody has to log in: this machine is not open any more.")


@users.command("list")
def list_users(as_json: AsJson = False) -> None:
    """Print every account, its role, its care teams at the moment, and how many sessions it has."""
    with database() as engine:
        directory, now = AccountStore(engine).directory(), _now_ms()
        sessions = [session.name for session in SessionStore(engine).running(at_ms=now)]
    for user in sorted(directory.users.values(), key=lambda u: u.name):
        held = sorted({m.team.name for m in directory.memberships.get(user.name, ()) if m.holds(now)})
        row = {
            "name": user.name, "role": user.role.value, "full_name": user.full_name, "teams": held,
            "sessions": sessions.count(user.name), "disabled": user.disabled_ms is not None,
        }  # fmt: skip
        if as_json:
            typer.echo(json.dumps(row))
        else:
            state = "disabled" if row["disabled"] else f"{row['sessions']} sessions"
            typer.echo(f"{user.name:<20} {user.role.value:<14} {', '.join(held) or '(no team)':<24} {state}")


@users.command("disable")
def disable(name: Name) -> None:
    """From now on the account may not be used; its sessions and live feeds end within a second. What it did is kept."""
    with database() as engine:
        AccountStore(engine).disable(name, at_ms=_now_ms(), by=_who())
        _note(engine, "accounts.change", "vigil users disable", name)
    typer.echo(f"{name} may not log in any more.")


@users.command("reset")
def reset(name: Name, password_file: PasswordFile = None) -> None:
    """Give an account a new password. Its sessions end, and a disabled one may be used again."""
    with database() as engine:
        store = AccountStore(engine)
        if name not in store.directory().users:
            raise VigilError(f"There is no account {name}.", fix="vigil users list")
        store.set_password(name, hashed(_password(name, password_file)), at_ms=_now_ms(), by=_who())
        _note(engine, "accounts.change", "vigil users reset", name)
    typer.echo(f"{name} has a new password.")


@users.command("token")
def token(name: Name) -> None:
    """Print a token with which a program is logged in as this account for 90 days: `Authorization: Bearer TOKEN`, or the variable
    VIGIL_TOKEN of `vigil alarms`. It is shown once."""
    with database() as engine:
        if AccountStore(engine).directory().subject(name) is None:
            raise VigilError(f"There is no account {name}, or it is disabled.", fix="vigil users list")
        made, session = SessionStore(engine).begin(name, Kind.PROGRAM, at_ms=_now_ms())
        _note(engine, "session.log-in", "vigil users token", f"{name} {session.session_id}")
    typer.echo(made)


@teams.command("add")
def join(
    team: Team,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Accounts that join the team.")] = None,
    unit: Annotated[
        list[str] | None, typer.Option(help="A unit (ward) whose patients are the team's. May be repeated.")
    ] = None,
    patient: Annotated[list[str] | None, typer.Option(help="Key of a single patient. May be repeated.")] = None,
    everybody: Annotated[
        bool, typer.Option("--everybody", help="Every patient, also those whose unit is not known.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--from", help="From when they are in it (RFC 3339); by default from now.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until when (RFC 3339); by default until further notice.")] = None,
) -> None:
    """Make a care team, say whose patients are its own, and who is in it for how long."""
    start_ms = _now_ms() if since is None else _time("from", since)
    end_ms = None if until is None else _time("until", until)
    with database() as engine:
        store = AccountStore(engine)
        store.cover(team, units=unit or (), patients=patient or (), everybody=everybody)
        said = ", ".join([*(unit or ()), *(patient or ()), *(["everybody"] if everybody else [])])
        _note(engine, "accounts.change", "vigil teams add", f"{team} covers {said or 'nobody more'}")
        for name in names or ():
            store.join(team, name, from_ms=start_ms, until_ms=end_ms)
            _note(engine, "accounts.change", "vigil teams add", f"{name} in {team}")
        found = store.teams()[team]
    if not (found.units or found.patients or found.everybody):
        typer.echo(f"{team} has no patients yet: --unit, --patient or --everybody.")
    else:
        parts = [*sorted(found.units), *sorted(found.patients), *(["everybody"] if found.everybody else [])]
        typer.echo(f"{team} cares for {', '.join(parts)}.")


@teams.command("remove")
def leave(team: Team, name: Name) -> None:
    """End an account's time in a care team now; its live feed loses the team's patients within a second."""
    with database() as engine:
        if not AccountStore(engine).leave(team, name, at_ms=_now_ms()):
            raise VigilError(f"{name} is not in {team}.", fix="vigil users list")
        _note(engine, "accounts.change", "vigil teams remove", f"{name} out of {team}")
    typer.echo(f"{name} is not in {team} any more.")


@teams.command("list")
def list_teams(as_json: AsJson = False) -> None:
    """Print every care team, whose patients are its own, and who is in it now or will be."""
    with database() as engine:
        store = AccountStore(engine)
        directory, now = store.directory(), _now_ms()
        for found in store.teams().values():
            members = [
                {"name": name, "from": _text(m.from_ms), "until": None if m.until_ms is None else _text(m.until_ms)}
                for name, held in sorted(directory.memberships.items())
                for m in held
                if m.team.name == found.name and (m.until_ms is None or m.until_ms > now)
            ]
            row = {
                "team": found.name, "everybody": found.everybody, "units": sorted(found.units),
                "patients": sorted(found.patients), "members": members,
            }  # fmt: skip
            if as_json:
                typer.echo(json.dumps(row))
                continue
            whom = [*sorted(found.units), *sorted(found.patients), *(["everybody"] if found.everybody else [])]
            typer.echo(f"{found.name}: {', '.join(whom) or '(no patients)'}")
            for m in members:
                typer.echo(f"    {m['name']:<20} from {m['from']} until {m['until'] or 'further notice'}")


def _password(name: str, file: Path | None) -> str:
    """The new password of `name`, checked. Never an argument: those are seen by everybody on the machine."""
    if file is not None:
        try:
            text = sys.stdin.readline() if str(file) == "-" else file.read_text().partition("\n")[0]
        except OSError as error:
            raise VigilError(f"The file {file} cannot be read.", cause=str(error.strerror)) from error
        password = text.rstrip("\r\n")
    else:
        if not sys.stdin.isatty():
            raise VigilError("There is nobody to ask for a password.", fix="give it with --password-file FILE")
        password = getpass.getpass(f"Password of {name}: ")
        if getpass.getpass("Once more: ") != password:
            raise VigilError("The two are not the same.", fix="try again; nothing was changed")
    try:
        check_new_password(password, name)
    except InvalidInput as error:
        raise VigilError(f"The password {error.reason}.", fix="choose a longer one, perhaps four words") from error
    return password


def _time(field: str, text: str) -> int:
    try:
        return parse_time(text)
    except InvalidInput as error:
        raise VigilError(f"--{field}: {error.reason}.", fix="write it like 2026-03-01T06:00:00Z") from error


def _text(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
