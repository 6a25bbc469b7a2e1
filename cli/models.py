"""`vigil models`: which trained models there are, and every change of who may score."""

from __future__ import annotations

import dataclasses
import getpass
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from infra.runtime.settings import load

if TYPE_CHECKING:
    from cli.model_desk import Desk
    from infra.runtime.sql.model_registry import StageChange

app = typer.Typer(help="Trained models: candidate, shadow, champion, retired.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the model, as it stands on its scores.")]
Version = Annotated[str, typer.Argument(help="Version of the model.")]
Why = Annotated[str, typer.Option("--reason", help="Why; it is kept with the change for ever.")]
Who = Annotated[str, typer.Option("--author", help="Who decides this. Empty: the name of this login.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _desk() -> Desk:
    from cli.model_desk import open_desk  # a second of imports that the other commands need not pay

    return open_desk(load())


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Every version, its stage, and who brought it there."""
    rows = _desk().models()
    if as_json:
        typer.echo(json.dumps({"models": rows}))
    elif not rows:
        typer.echo("No models: none ships with this release, and none was registered (vigil models register FOLDER).")
    else:
        table = Table("model", "version", "stage", "trained with", "by", "reason", "gates")
        for row in rows:
            keys = ("name", "version", "stage", "framework", "changed_by", "reason", "gates")
            table.add_row(*(str(row[key]) for key in keys))
        Console().print(table)


@app.command()
def register(
    folder: Annotated[Path, typer.Argument(help="Folder of a bundle.", exists=True, file_okay=False)],
    reason: Why,
    author: Who = "",
) -> None:
    """Check a bundle, keep a copy of it, and make it known as a candidate: it does nothing yet."""
    bundle = _desk().register(folder, author=_who(author), reason=reason)
    _note("register", bundle.label, author)
    typer.echo(f"{bundle.label} is a candidate; digest {bundle.digest[:12]}")


@app.command()
def promote(
    name: Name,
    version: Version,
    reason: Why,
    evaluation: Annotated[
        Path | None, typer.Option(help="JSON of `vigil evaluate`; a shadow needs it to become champion.", exists=True)
    ] = None,
    author: Who = "",
    as_json: AsJson = False,
) -> None:
    """Bring a version one stage further: a candidate to shadow, a shadow to champion. Only through the gates."""
    from cli.model_desk import read_evaluation

    seen = read_evaluation(evaluation) if evaluation is not None else None
    done = _desk().promote(name, version, author=_who(author), reason=reason, evaluation=seen)
    if done.promoted:
        _note("promote", f"{name} {version} to {done.to}", author)
    if as_json:
        typer.echo(json.dumps(done.document()))
    else:
        table = Table("gate", "", "what it saw")
        for gate in done.gates:
            table.add_row(gate.name, "passed" if gate.passed else "NOT passed", gate.said)
        Console().print(table)
        ended = f"is {done.to} now" if done.promoted else f"stays {done.stage}: a gate is not passed"
        typer.echo(f"{name} {version} {ended}")
    if not done.promoted:
        raise typer.Exit(1)


@app.command()
def rollback(name: Name, reason: Why, author: Who = "") -> None:
    """Make the champion before this one champion again. Workers take it up with the next windows, without a restart."""
    changes = list(_desk().rollback(name, author=_who(author), reason=reason))
    _note("rollback", name, author)
    _say(changes)


@app.command()
def retire(name: Name, version: Version, reason: Why, author: Who = "") -> None:
    """Take a version out: it scores nobody any more, and stays on record."""
    changes = list(_desk().retire(name, version, author=_who(author), reason=reason))
    _note("retire", f"{name} {version}", author)
    _say(changes)


@app.command()
def compare(
    name: Name,
    hours: Annotated[float, typer.Option(min=0.1, max=24 * 8, help="How far back to look.")] = 24.0,
    as_json: AsJson = False,
) -> None:
    """The shadow beside the champion, by what both said of the same patients at the same minutes."""
    from cli.model_desk import compared

    found = compared(load(), _desk(), name, hours)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found)))
        return
    table = Table("", "champion", "shadow")
    sides = dataclasses.asdict(found.champion), dataclasses.asdict(found.shadow)
    for key in sides[0]:
        table.add_row(key.replace("_", " "), *(_plain(side[key]) for side in sides))
    Console().print(table)
    typer.echo(
        f"{found.both} windows that both scored: rank correlation {_plain(found.rank_correlation)}, "
        f"mean difference {_plain(found.mean_difference)}, largest {_plain(found.largest_difference)}"
    )


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "unknown" if value is None else str(value)


def _say(changes: Iterable[StageChange]) -> None:
    for change in changes:
        typer.echo(f"{change.name} {change.version} is {change.stage} now, in force from version {change.config_version}")


def _note(command: str, what: str, author: str) -> None:
    """In the audit log of this installation, like every other change of what holds for everybody."""
    from cli.account_desk import noted

    noted(f"vigil models {command}", f"{what} by {_who(author)}", action="models.change")


def _who(author: str) -> str:
    return author.strip() or getpass.getuser()
