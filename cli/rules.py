"""`vigil rules`: rule files checked, explained and tried out; versions put in force with author and reason."""

from __future__ import annotations

import getpass
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alerting.rules.check import check as check_text
from alerting.rules.load import parse, shipped
from alerting.rules.model import RuleSet
from cli.versions import print_versions
from contracts.errors import InvalidInput, Retryable, VigilError
from infra.runtime.settings import Settings, load

if TYPE_CHECKING:
    from infra.runtime.sql.rules import RuleStore

app = typer.Typer(help="What counts as an alarm: rule files and the versions in force.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="A rule file (TOML), as alerting/rules/default.toml.", exists=True, dir_okay=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def read_file(path: Path) -> RuleSet:
    """The rules of a file. Raises `VigilError` that lists every fault with its line."""
    found = check_text(path.read_text(encoding="utf-8", errors="replace"))
    if isinstance(found, RuleSet):
        return found
    more = "" if len(found) == 1 else "".join(f"\n  {problem.text(path.name)}" for problem in found[1:])
    raise VigilError(found[0].text(path.name) + more, fix=f"correct the file, then: vigil rules check {path}")


@app.command()
def check(file: File, as_json: AsJson = False) -> None:
    """Read a rule file as the live system would; say what is wrong with it, line by line. Ends with 1 if anything is."""
    from alerting.rules.explain import names

    found = check_text(file.read_text(encoding="utf-8", errors="replace"))
    problems = [] if isinstance(found, RuleSet) else found
    if as_json:
        faults = [{"line": p.line, "place": p.place, "reason": p.reason} for p in problems]
        typer.echo(json.dumps({"file": file.name, "valid": not problems, "problems": faults}))
    elif isinstance(found, RuleSet):
        typer.echo(f"{file}: valid, {len(names(found))} rules")
    for problem in () if as_json else problems:
        typer.echo(problem.text(str(file)))
    if problems:
        raise typer.Exit(1)


@app.command()
def explain(
    rule: Annotated[str, typer.Argument(help="Name of a rule, for example spo2_low; empty: all of them.")] = "",
    file: Annotated[Path | None, typer.Option(help="Of this rule file instead of the rules in force.", exists=True)] = None,
) -> None:
    """Say in words what a rule does: of the rules in force, or of a file."""
    from alerting.rules.explain import explain as sentences
    from alerting.rules.explain import names

    rules = read_file(file) if file is not None else in_force()
    for name in [rule] if rule else names(rules):
        typer.echo(f"{name} (version {rules.version})" if file is None else name)
        for sentence in sentences(rules, name):
            typer.echo(f"  {sentence}")


@app.command("test")
def try_out(
    file: File,
    data: Annotated[
        Path | None, typer.Option(help="A folder of recordings, as for `vigil replay`. Without it: the simulated ward.")
    ] = None,
    hours: Annotated[float, typer.Option(help="Event time.")] = 2.0,
    beds: Annotated[int, typer.Option(help="Beds of the simulated ward, or patients of the recordings.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same figures.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Try a rule file out on data, through the same code as live, beside the rules in force: what would alarm, what would not."""
    from cli.backtesting.rule_trial import lines, trial

    found = trial(
        read_file(file), in_force(), data=data, hours=hours, beds=beds, seed=seed,
        say=lambda line: typer.echo(line, err=True),
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found))
        return
    for line in lines(found):
        typer.echo(line)


@app.command()
def apply(
    file: File,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the version for ever.")],
    author: Annotated[str, typer.Option("--author", help="Who decides this. Empty: the name of this login.")] = "",
    expect: Annotated[
        int | None, typer.Option(help="Only if this is the version in force now: nobody else's change is overwritten.")
    ] = None,
) -> None:
    """Make a rule file the next version. It is in force with the next ticks, within some seconds, without a restart. Units and
    ages of patients come from the roster."""
    if not reason.strip():
        raise InvalidInput("reason", "say why; it is kept with the version")
    rules, who = read_file(file), author.strip() or getpass.getuser()
    _add(_with_roster(rules), who, reason, expect)


@app.command()
def roster(
    author: Annotated[str, typer.Option("--author", help="Who asks for it. Empty: the name of this login.")] = "",
) -> None:
    """Take from the roster again who lies in which unit and how old they are, where rules depend on it. Makes a version if
    anything has changed since the one in force: a patient's move is in the log like every other change of the rules."""
    _prepared()
    rules = in_force()
    fresh = _with_roster(rules)
    if fresh.people == rules.people:
        typer.echo("nobody moved: no new version")
        return
    _add(fresh, author.strip() or getpass.getuser(), "units and ages from the roster", rules.version)


def _add(rules: RuleSet, who: str, reason: str, expect: int | None) -> None:
    from cli.account_desk import noted
    from infra.runtime.sql.rules import Outdated

    document = rules.model_dump(mode="json", exclude={"version"})
    now_ms = time.time_ns() // 1_000_000
    added = _store(prepare=True).add(document, author=who, reason=reason.strip(), at_ms=now_ms, expected=expect)
    if isinstance(added, Outdated):
        raise VigilError(
            f"Version {added.current} is in force, not {expect}: somebody else changed the rules.",
            fix=f"look at it (vigil rules show {added.current}), then apply with --expect {added.current}",
        )
    noted("vigil rules apply", f"version {added.number} by {who}", action="rules.change")
    typer.echo(f"version {added.number} by {who}; in force with the next ticks")


def _with_roster(rules: RuleSet) -> RuleSet:
    """The rules with units and ages from the roster, where limits of units or scores by age ask for them."""
    from alerting.rules.people import from_roster
    from infra.runtime.sql.engine import open_engine
    from infra.runtime.sql.patients import PatientStore

    if not (rules.units or rules.early_warning):
        return rules
    settings = _prepared()
    known = [(p.patient, p.unit, p.age) for p in PatientStore(open_engine(settings.sql_url)).all()]
    said = from_roster(rules.people, known, rules.units)
    return RuleSet.model_validate({**dict(rules), "people": said})


@app.command("list")
def list_versions(as_json: AsJson = False) -> None:
    """Every version: who made it, when and why; the newest is in force."""
    print_versions(_store(prepare=True).versions(), "the shipped rules", as_json=as_json)


@app.command()
def show(
    version: Annotated[int, typer.Argument(help="Number of a version; 0: the shipped rules.", min=0)],
) -> None:
    """A version as JSON, nothing left out."""
    typer.echo(json.dumps(_version(version).model_dump(mode="json"), indent=1))


def in_force() -> RuleSet:
    """The newest version in SQL; the shipped rules where there is none or no database yet."""
    try:
        newest = _store().current()
    except Retryable:
        raise
    except VigilError:  # no tables yet: nobody can have changed anything
        return shipped()
    return shipped() if newest is None else parse(dict(newest.document), version=newest.number)


def of_file(path: Path | None) -> RuleSet | None:
    """The rules of a file, None without one."""
    return None if path is None else read_file(path)


def _version(number: int) -> RuleSet:
    if number == 0:
        return shipped()
    found = _store().get(number)
    if found is None:
        raise VigilError(f"There is no version {number}.", fix="vigil rules list")
    return parse(dict(found.document), version=number)


def _store(*, prepare: bool = False) -> RuleStore:
    """The versions in SQL. `prepare`: bring its tables up to date first."""
    from infra.runtime.sql.engine import open_engine
    from infra.runtime.sql.rules import RuleStore

    settings = _prepared() if prepare else load()
    return RuleStore(open_engine(settings.sql_url))


def _prepared() -> Settings:
    """The settings, with the database up to date."""
    from infra.runtime.sql.engine import upgrade

    settings = load()
    upgrade(settings.sql_url)
    return settings
