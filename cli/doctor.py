"""`vigil doctor`: what is in order, what is not, and the next step for each."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from infra.runtime.logs import configure_logs
from infra.runtime.settings import load

if TYPE_CHECKING:  # the checks load a part of every room: only when they are made
    from cli.checks import Result

_MARKS: Final = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "failed": "[bold red]failed[/]"}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Check this installation and what it needs. Exit status 1 when a check fails."""
    from cli.checks import CHECKS, examine

    settings = load()
    configure_logs("console", "error")
    results = examine(settings, CHECKS)
    healthy = all(result.level != "failed" for result in results)
    if as_json:
        document = {"healthy": healthy, "checks": [dataclasses.asdict(result) for result in results]}
        typer.echo(json.dumps(document, indent=2))
    else:
        show(results, Console())
    if not healthy:
        raise typer.Exit(1)


def show(results: list[Result], console: Console) -> None:
    """A line per check, and under it the next step where there is one."""
    width = max(len(result.name) for result in results)
    for result in results:
        padding = " " * (7 - len(result.level))
        console.print(
            f"{_MARKS[result.level]}{padding}{result.name:<{width}}  {escape(result.detail)}", highlight=False, soft_wrap=True
        )
        if result.fix:
            console.print(f"{'':<{width + 9}}[bold]Next:[/] {escape(result.fix)}", highlight=False, soft_wrap=True)
    failed = sum(result.level == "failed" for result in results)
    console.print("Everything is in order." if not failed else f"{failed} checks failed.", highlight=False)
