"""`vigil users` and `vigil teams`: who may log in, and who cares for whom. For whoever runs the machine, on its database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from contracts.errors import VigilError
from contracts.policy import ACCOUNT_ROLES, Role

users = typer.Typer(help="Accounts: who may log in, and as what.", no_args_is_help=True)
teams = typer.Typer(help="Care teams: whose patients an account may see, and for how long.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name to log in with: small letters, digits, . _ @ -")]
Team = Annotated[str, typer.Argument(metavar="TEAM", help="Name of the care team.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help="File whose first line is the password; without it you are asked. - reads standard input."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@users.command("add")
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What the account is for.", case_sensitive=False)],
    full_name: Annotated[str | None, typer.Option(help="The person's name, for other people to read.")] = None,
    team: Annotated[str | None, typer.Option(help="Care team to join at once, until further notice.")] = None,
    password_file: PasswordFile = None,
) -> None:
    """Make an account. There are no default passwords: you give one, or are asked for it."""
    from cli.account_desk import desk, new_password, now_ms

    if role not in ACCOUNT_ROLES:
        raise VigilError(f"The role {role} is no account's.", fix=f"choose one of {', '.join(ACCOUNT_ROLES)}")
    with desk() as at:
        store = at.accounts
        if name in store.directory().users:
            raise VigilError(f"There is an account {name} already.", fix=f"vigil users reset {name}")
        if team is not None and team not in store.teams():
            raise VigilError(f"There is no care team {team}.", fix=f"vigil teams add {team} --unit UNIT")
        first = not store.directory().users
        store.add(name, role, new_password(name, password_file), at_ms=now_ms(), full_name=full_name)
        at.note("vigil users add", f"{name} as {role}")
        if team is not None:
            store.join(team, name, from_ms=now_ms())
            at.note("vigil teams add", f"{name} in {team}")
    typer.echo(f"{name} may log in as {role}.")
    if first:
        typer.echo("From now on everybody has to log in: this machine is not open any more.")


@users.command("list")
def list_users(as_json: AsJson = False) -> None:
    """Print every account, its role, its care teams at the moment, and how many sessions it has."""
    from cli.account_desk import desk, now_ms

    with desk() as at:
        directory, now = at.accounts.directory(), now_ms()
        sessions = [session.name for session in at.sessions.running(at_ms=now)]
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


@users.command("role")
def set_role(
    name: Name, role: Annotated[Role, typer.Argument(help="What the account is for from now on.", case_sensitive=False)]
) -> None:
    """Give an account another role. Its sessions stay; what they may do and see changes within a second."""
    from cli.account_desk import desk

    with desk() as at:
        at.accounts.set_role(name, role)
        at.note("vigil users role", f"{name} as {role}")
    typer.echo(f"{name} is {role} now.")


@users.command("disable")
def disable(name: Name) -> None:
    """From now on the account may not be used; its sessions and live feeds end within a second. What it did is kept."""
    from cli.account_desk import desk, now_ms

    with desk() as at:
        at.accounts.disable(name, at_ms=now_ms(), by=at.who)
        at.note("vigil users disable", name)
    typer.echo(f"{name} may not log in any more.")


@users.command("reset")
def reset(name: Name, password_file: PasswordFile = None) -> None:
    """Give an account a new password. Its sessions end, and a disabled one may be used again."""
    from cli.account_desk import desk, new_password, now_ms

    with desk() as at:
        store = at.accounts
        if name not in store.directory().users:
            raise VigilError(f"There is no account {name}.", fix="vigil users list")
        store.set_password(name, new_password(name, password_file), at_ms=now_ms(), by=at.who)
        at.note("vigil users reset", name)
    typer.echo(f"{name} has a new password.")


@users.command("token")
def token(name: Name) -> None:
    """Print a token with which a program is logged in as this account for 90 days: `Authorization: Bearer TOKEN`, or the variable
    VIGIL_TOKEN of `vigil alarms`. It is shown once."""
    from cli.account_desk import desk, now_ms
    from infra.runtime.sql.sessions import Kind

    with desk() as at:
        if at.accounts.directory().subject(name) is None:
            raise VigilError(f"There is no account {name}, or it is disabled.", fix="vigil users list")
        made, session = at.sessions.begin(name, Kind.PROGRAM, at_ms=now_ms())
        at.note("vigil users token", f"{name} {session.session_id}", action="session.log-in")
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
    from cli.account_desk import desk, moment, now_ms

    start_ms = now_ms() if since is None else moment("from", since)
    end_ms = None if until is None else moment("until", until)
    with desk() as at:
        store = at.accounts
        store.cover(team, units=unit or (), patients=patient or (), everybody=everybody)
        said = ", ".join([*(unit or ()), *(patient or ()), *(["everybody"] if everybody else [])])
        at.note("vigil teams add", f"{team} covers {said or 'nobody more'}")
        for name in names or ():
            store.join(team, name, from_ms=start_ms, until_ms=end_ms)
            at.note("vigil teams add", f"{name} in {team}")
        found = store.teams()[team]
    if not (found.units or found.patients or found.everybody):
        typer.echo(f"{team} has no patients yet: --unit, --patient or --everybody.")
    else:
        parts = [*sorted(found.units), *sorted(found.patients), *(["everybody"] if found.everybody else [])]
        typer.echo(f"{team} cares for {', '.join(parts)}.")


@teams.command("remove")
def leave(team: Team, name: Name) -> None:
    """End an account's time in a care team now; its live feed loses the team's patients within a second."""
    from cli.account_desk import desk, now_ms

    with desk() as at:
        if not at.accounts.leave(team, name, at_ms=now_ms()):
            raise VigilError(f"{name} is not in {team}.", fix="vigil users list")
        at.note("vigil teams remove", f"{name} out of {team}")
    typer.echo(f"{name} is not in {team} any more.")


@teams.command("list")
def list_teams(as_json: AsJson = False) -> None:
    """Print every care team, whose patients are its own, and who is in it now or will be."""
    from cli.account_desk import desk, now_ms, stamp

    with desk() as at:
        store = at.accounts
        directory, now = store.directory(), now_ms()
        for found in store.teams().values():
            members = [
                {"name": name, "from": stamp(m.from_ms), "until": None if m.until_ms is None else stamp(m.until_ms)}
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
