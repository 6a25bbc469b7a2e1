"""The front door: `vigil`. Every command is one small module here; what they do lives in the rooms."""

from __future__ import annotations

import sys
from importlib.metadata import version as package_version
from typing import Annotated

import typer
from rich.console import Console

from cli import (
    alarms,
    backtest,
    bench,
    config,
    doctor,
    evaluate,
    export,
    metrics,
    models,
    notify,
    reach,
    rules,
    sources,
    stack,
    topics,
    train,
)
from contracts.errors import VigilError

app = typer.Typer(
    name="vigil",
    help="Open-source remote patient monitoring on an event stream. Not a certified medical device or alarm system.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command("demo")(stack.demo)
app.command("up")(stack.up)
# What follows the room's name is the room's own.
app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(stack.run)
app.command("doctor")(doctor.doctor)
app.command("simulate")(sources.simulate)
app.command("replay")(sources.replay)
app.command("play", hidden=True)(sources.play)
app.command("metrics")(metrics.metrics)
app.command("export")(export.export)
app.command("train")(train.train)
app.command("bench", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(bench.bench)
app.command("evaluate")(evaluate.evaluate)
app.command("backtest")(backtest.backtest)
app.add_typer(topics.app, name="topics")
app.add_typer(alarms.app, name="alarms")
app.add_typer(models.app, name="models")
app.add_typer(rules.app, name="rules")
app.add_typer(notify.app, name="notify")
app.add_typer(reach.app, name="reach")
app.add_typer(config.app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(package_version("vigil-rpm"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
) -> None:
    """Options of every command."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line. An error that a person can act on is shown as such, without a traceback."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        app(args=arguments)
    except VigilError as error:
        if "--debug" in arguments:
            raise
        console = Console(stderr=True)
        console.print(f"[bold red]Error:[/] {error.message}", highlight=False)
        if error.cause:
            console.print(f"Likely cause: {error.cause}", highlight=False)
        if error.fix:
            console.print(f"[bold]Next:[/] {error.fix}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
