"""`vigil alarms`: alarms on a terminal, as they come, and what a person does about one of them."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console

from cli.alarm_desk import ApiAt, As, Json, act, history_lines, read
from cli.alarm_lines import JsonLines, TextLines
from infra.runtime.settings import load

app = typer.Typer(help="Look at alarms, and say what is done about them.", no_args_is_help=True)


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

    settings = load()
    address = api or settings.local_api
    lines = JsonLines(sys.stdout) if as_json else TextLines(Console(), Console(stderr=True))
    token = settings.token.get_secret_value()
    asyncio.run(follow(address, lines, count=count, open_first=not changes_only, token=token))


AlarmId = Annotated[str, typer.Argument(metavar="ALARM", help="Id of the alarm, as `vigil alarms list` prints it.")]
Reason = Annotated[str | None, typer.Option(help="Why, in your words.")]


@app.command("list")
def list_(api: ApiAt = None, as_json: Json = False) -> None:
    """Print the alarms that call somebody now, newest first."""
    found = read(api, "alarms?state=active,acknowledged,latched&limit=500")
    for alarm in found["items"]:
        if as_json:
            typer.echo(json.dumps(alarm))
        else:
            typer.echo(f"{alarm['id']}  {alarm['priority']:<6} {alarm['state']:<12} {alarm['patient']}  {alarm['text']}")


@app.command("history")
def history(alarm: AlarmId, api: ApiAt = None, as_json: Json = False) -> None:
    """Print every change of an alarm: when, who, from which state to which, and why."""
    found = read(api, f"alarms/{quote(alarm, safe='')}/history")
    typer.echo(json.dumps(found) if as_json else "\n".join(history_lines(found["items"])))


@app.command("ack")
def acknowledge(
    alarm: AlarmId,
    reason: Reason = None,
    minutes: Annotated[int | None, typer.Option(min=1, help="For less time than its priority allows.")] = None,
    person: As = None,
    api: ApiAt = None,
    as_json: Json = False,
) -> None:
    """Say that you have seen an alarm and take care of it. It comes back by itself when the time is over."""
    act(api, alarm, "acknowledge", {"reason": reason, "minutes": minutes}, person, as_json)


@app.command("snooze")
def snooze(
    alarm: AlarmId,
    minutes: Annotated[int, typer.Option(min=1, help="For how long.")],
    reason: Annotated[str, typer.Option(help="Why, in your words.")],
    person: As = None,
    api: ApiAt = None,
    as_json: Json = False,
) -> None:
    """Be quiet about an alarm for some minutes."""
    act(api, alarm, "snooze", {"reason": reason, "minutes": minutes}, person, as_json)


@app.command("label")
def label(
    alarm: AlarmId,
    worth: Annotated[str, typer.Argument(metavar="LABEL", help="actionable, false_alarm or artefact.")],
    person: As = None,
    api: ApiAt = None,
    as_json: Json = False,
) -> None:
    """Say what an alarm was worth; the burden ledger counts it."""
    act(api, alarm, "label", {"label": worth}, person, as_json)
