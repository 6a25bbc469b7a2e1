"""`vigil reach`: who is told of alarms. Policy files checked, tried out and put in force with author and reason."""

from __future__ import annotations

import getpass
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerting.reach.faults import Fault
from alerting.reach.files import check as check_text
from alerting.reach.files import doubts, dump, parse, shipped
from alerting.reach.outlook import Expected, outlook
from alerting.reach.policy import Policy
from alerting.reach.stages import Facts
from cli.versions import print_versions
from contracts.alarms import Lane, Priority
from contracts.errors import InvalidInput, Retryable, VigilError
from contracts.local_time import instant_ms
from infra.runtime.settings import Settings, load

if TYPE_CHECKING:
    from infra.runtime.sql.rules import RuleStore

app = typer.Typer(help="Who is told of alarms, when, and through what.", no_args_is_help=True)

File = Annotated[
    Path, typer.Argument(help="A policy (TOML), as alerting/reach/default.toml.", exists=True, dir_okay=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def read_file(path: Path) -> Policy:
    """The policy of a file. Raises `VigilError` that lists every fault with its line."""
    found = check_text(path.read_text(encoding="utf-8", errors="replace"))
    if isinstance(found, Policy):
        return found
    more = "".join(f"\n  {problem.text(path.name)}" for problem in found[1:])
    raise VigilError(found[0].text(path.name) + more, fix=f"correct the file, then: vigil reach check {path}")


@app.command()
def check(file: File, as_json: AsJson = False) -> None:
    """Say what is wrong with a policy, line by line, and who it leaves out. Ends with 1 if anything is wrong."""
    text = file.read_text(encoding="utf-8", errors="replace")
    found = check_text(text)
    wrong = [] if isinstance(found, Policy) else found
    left_out = doubts(text, found, _beside_accounts(found)) if isinstance(found, Policy) else []
    if as_json:
        said = {"problems": wrong, "warnings": left_out}
        lines = {
            name: [{"line": p.line, "place": p.place, "reason": p.reason} for p in all_] for name, all_ in said.items()
        }
        typer.echo(json.dumps({"file": file.name, "valid": not wrong, **lines}))
    else:
        if isinstance(found, Policy):
            typer.echo(
                f"{file}: valid, {len(found.people)} people, {len(found.routes)} routes, {len(found.plans)} plans"
            )
        for problem in wrong:
            typer.echo(problem.text(str(file)))
        for problem in left_out:
            typer.echo(f"warning: {problem.text(str(file))}")
    if wrong:
        raise typer.Exit(1)


@app.command()
def who(
    unit: Annotated[str, typer.Argument(help="The ward, as the roster has it; empty: a patient without one.")],
    priority: Annotated[Priority, typer.Argument(help="low, medium or high.")],
    at: Annotated[str | None, typer.Option(help="When the alarm begins (RFC 3339). Default: now.")] = None,
    lane: Annotated[Lane, typer.Option(help="physiological or technical.")] = Lane.PHYSIOLOGICAL,
    condition: Annotated[str, typer.Option(help="The rule of the alarm, for example spo2_low.")] = "",
    patient: Annotated[str, typer.Option(help="The key of the patient, for care teams of single patients.")] = "",
    assigned: Annotated[str | None, typer.Option(help="Whom the alarm is assigned to.")] = None,
    file: Annotated[Path | None, typer.Option(help="Of this file instead of the policy in force.", exists=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Say who would be told of an alarm that nobody answers: when, through what, and why."""
    at_ms = time.time_ns() // 1_000_000 if at is None else instant_ms(at)
    if at_ms is None:
        raise InvalidInput("at", "must be an RFC 3339 time with its offset, such as 2026-03-01T10:00:00Z")
    policy = read_file(file) if file is not None else in_force()
    facts = Facts(
        unit=unit or None, patient=patient, lane=lane, priority=priority, condition=condition, assigned_to=assigned
    )
    found = outlook(policy, facts, at_ms)
    if as_json:
        typer.echo(
            json.dumps({"version": policy.version, "at_ms": at_ms, "expected": [_document(one) for one in found]})
        )
        return
    for one in found:
        typer.echo(_line(one))


def _document(one: Expected) -> dict[str, Any]:
    return {
        "after_s": one.after_ms / 1000, "kind": one.kind, "person": one.person, "channels": list(one.channels), "why": one.why
    }  # fmt: skip


def _line(one: Expected) -> str:
    minutes, seconds = divmod(one.after_ms // 1000, 60)
    when = f"{minutes:3d}:{seconds:02d}"
    if one.person is None:
        return f"{when}  -  {one.why}"
    return f"{when}  {one.person}  by {', '.join(one.channels)}  ({one.kind}; {one.why})"


@app.command()
def apply(
    file: File,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the version for ever.")],
    author: Annotated[str, typer.Option("--author", help="Who decides this. Empty: the name of this login.")] = "",
    expect: Annotated[
        int | None, typer.Option(help="Only if this is the version in force now: nobody else's change is overwritten.")
    ] = None,
) -> None:
    """Make a policy the next version. It is in force within a second, without a restart; calls under way go on under it."""
    from cli.account_desk import noted
    from infra.runtime.sql.rules import Outdated

    if not reason.strip():
        raise InvalidInput("reason", "say why; it is kept with the version")
    text, policy, by = file.read_text(encoding="utf-8"), read_file(file), author.strip() or getpass.getuser()
    at_ms = time.time_ns() // 1_000_000
    added = _store(prepare=True).add(dump(policy), author=by, reason=reason.strip(), at_ms=at_ms, expected=expect)
    if isinstance(added, Outdated):
        raise VigilError(
            f"Version {added.current} is in force, not {expect}: somebody else changed the policy.",
            fix=f"look at it (vigil reach show {added.current}), then apply with --expect {added.current}",
        )
    noted("vigil reach apply", f"version {added.number} by {by}", action="reach.change")
    for doubt in doubts(text, policy, _beside_accounts(policy)):
        typer.echo(f"warning: {doubt.text(str(file))}")
    typer.echo(f"version {added.number} by {by}; in force within a second")


@app.command("list")
def list_versions(as_json: AsJson = False) -> None:
    """Every version: who made it, when and why; the newest is in force."""
    print_versions(_store(prepare=True).versions(), "the shipped policy", as_json=as_json)


@app.command()
def show(version: Annotated[int, typer.Argument(help="Number of a version; 0: the shipped policy.", min=0)]) -> None:
    """A version as JSON. It may hold addresses that are secret."""
    if version == 0:
        typer.echo(json.dumps(dump(shipped()), indent=1))
        return
    found = _store().get(version)
    if found is None:
        raise VigilError(f"There is no version {version}.", fix="vigil reach list")
    typer.echo(json.dumps(found.document, indent=1))


def in_force(settings: Settings | None = None) -> Policy:
    """The newest version in SQL; the shipped one where there is none or no database yet."""
    try:
        newest = _store(settings or load()).current()
    except Retryable:
        raise
    except VigilError:  # no tables yet: nobody can have changed anything
        return shipped()
    return shipped() if newest is None else parse(newest.document, version=newest.number)


def _beside_accounts(policy: Policy) -> list[Fault]:
    """Who would be called and may not look, where there are accounts."""
    from alerting.reach.accounts import Accounts, differences
    from infra.runtime.sql.accounts import AccountStore
    from infra.runtime.sql.engine import open_engine

    store = AccountStore(open_engine(load().sql_url))
    try:
        directory, teams = store.directory(), store.teams()
    except Retryable as error:
        typer.echo(f"accounts were not looked at: {error.message}", err=True)
        return []
    except VigilError:  # no tables yet: nobody has an account
        return []
    people = {name: subject for name in directory.users if (subject := directory.subject(name)) is not None}
    return differences(policy, Accounts(people=people, teams=tuple(teams.values())), time.time_ns() // 1_000_000)


def _store(settings: Settings | None = None, *, prepare: bool = False) -> RuleStore:
    """The versions in SQL. `prepare`: bring its tables up to date first."""
    from infra.runtime.sql.engine import open_engine, upgrade
    from infra.runtime.sql.reach_tables import REACH_VERSIONS
    from infra.runtime.sql.rules import RuleStore

    settings = settings or load()
    if prepare:
        upgrade(settings.sql_url)
    return RuleStore(open_engine(settings.sql_url), REACH_VERSIONS)
