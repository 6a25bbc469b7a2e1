"""`vigil alarms`: alarms on a terminal, as they come, and what a person does about one of them."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cli.alarm_desk import ApiAt, As, Json, act, address_of, ask, history_line

if TYPE_CHECKING:
    from api.client import Alarm, Api
    from api.schema import Transition

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
    from cli.alarm_feed import follow  # brings the client, which no other command needs
    from cli.alarm_lines import JsonLines, TextLines

    lines = JsonLines(sys.stdout) if as_json else TextLines(Console(), Console(stderr=True))
    asyncio.run(follow(address_of(api), lines, count=count, open_first=not changes_only))


AlarmId = Annotated[str, typer.Argument(metavar="ALARM", help="Id of the alarm, as `vigil alarms list` prints it.")]
Reason = Annotated[str | None, typer.Option(help="Why, in your words.")]


@app.command("list")
def list_(api: ApiAt = None, as_json: Json = False) -> None:
    """Print the alarms that call somebody now, newest first."""

    async def listed(client: Api) -> list[Alarm]:
        return [alarm async for alarm in client.alarms(state="active,acknowledged,latched")]

    for alarm in ask(api, listed):
        if as_json:
            typer.echo(alarm.model_dump_json())
        else:
            typer.echo(f"{alarm.id}  {alarm.priority:<6} {alarm.state:<12} {alarm.patient}  {alarm.text}")


@app.command("history")
def history(alarm: AlarmId, api: ApiAt = None, as_json: Json = False) -> None:
    """Print every change of an alarm: when, who, from which state to which, and why."""

    async def listed(client: Api) -> list[Transition]:
        return [change async for change in client.history(alarm)]

    found = ask(api, listed)
    if as_json:
        typer.echo(json.dumps({"items": [change.model_dump(mode="json", by_alias=True) for change in found]}))
    else:
        typer.echo("\n".join(map(history_line, found)))


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
    act(api, lambda client: client.acknowledge(alarm, reason=reason, minutes=minutes), person, as_json)


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
    act(api, lambda client: client.snooze(alarm, minutes=minutes, reason=reason), person, as_json)


@app.command("label")
def label(
    alarm: AlarmId,
    worth: Annotated[str, typer.Argument(metavar="LABEL", help="actionable, false_alarm or artefact.")],
    person: As = None,
    api: ApiAt = None,
    as_json: Json = False,
) -> None:
    """Say what an alarm was worth; the burden ledger counts it."""
    act(api, lambda client: client.label(alarm, worth), person, as_json)
