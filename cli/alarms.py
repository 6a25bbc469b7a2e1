"""`vigil alarms`: alarms on a terminal, as they come."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer
from rich.console import Console

from cli.alarm_lines import JsonLines, TextLines
from infra.runtime.settings import load

app = typer.Typer(help="Look at alarms.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group, so that further subcommands keep `vigil alarms tail` stable."""


@app.command("tail")
def tail(
    api: Annotated[str | None, typer.Option(help="Address of the API; by default the one on this machine.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many changes.")] = None,
    changes_only: Annotated[bool, typer.Option("--changes-only", help="Leave out the alarms that are open already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per change.")] = False,
) -> None:
    """Print alarms: those that are open, then each change as it comes. Reconnects by itself; Ctrl-C ends it.

    Not an alarm system: a terminal that nobody watches alarms nobody.
    """
    from cli.alarm_feed import follow  # brings websockets, which no other command needs

    address = api or f"http://127.0.0.1:{load().api_port}"
    lines = JsonLines(sys.stdout) if as_json else TextLines(Console(), Console(stderr=True))
    asyncio.run(follow(address, lines, count=count, open_first=not changes_only))
