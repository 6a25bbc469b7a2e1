"""Requests to the API about alarms, and their answers for a person."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from contracts.errors import VigilError
from infra.runtime.settings import load

if TYPE_CHECKING:  # the client brings what no other command needs
    from api.client import Alarm, Api
    from api.schema import Transition

ApiAt = Annotated[str | None, typer.Option("--api", help="Address of the API; by default the one on this machine.")]
As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who you are; by default your name on this machine.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

T = TypeVar("T")


def ask(api: str | None, question: Callable[[Api], Awaitable[T]], *, person: str | None = None) -> T:
    """The answer of the API to one question, asked as `person`. Raises `VigilError` with what it says against it."""
    from api.client import Api, ApiAway

    address = address_of(api)

    async def asked() -> T:
        async with Api(address, actor=person, token=load().token.get_secret_value()) as client:
            return await question(client)

    try:
        return asyncio.run(asked())
    except ApiAway as error:
        raise VigilError(
            f"The API at {address} does not answer.", cause="Vigil does not run, or listens elsewhere", fix="vigil up"
        ) from error


def address_of(api: str | None) -> str:
    """The address asked for, or that of this machine."""
    return (api or load().local_api).rstrip("/")


def act(api: str | None, change: Callable[[Api], Awaitable[Alarm]], person: str | None, as_json: bool) -> None:
    """Do something about an alarm, and print the alarm as it then stands."""
    found = ask(api, change, person=person or getpass.getuser())
    typer.echo(found.model_dump_json() if as_json else standing(found))


def standing(alarm: Alarm) -> str:
    """How the alarm stands, in one line."""
    parts = [f"{alarm.state}: {alarm.text}"]
    if alarm.acknowledged_until:
        parts.append(f"acknowledged by {alarm.acknowledged_by} until {_minute(alarm.acknowledged_until)}")
    if alarm.snoozed_until:
        parts.append(f"snoozed by {alarm.snoozed_by} until {_minute(alarm.snoozed_until)}")
    if alarm.label:
        parts.append(f"labelled {alarm.label} by {alarm.labelled_by}")
    return "; ".join(parts)


def history_line(change: Transition) -> str:
    """One change of an alarm."""
    states = change.to.value if change.from_ in (None, change.to) else f"{change.from_} -> {change.to}"
    facts = [change.label, change.assigned_to and f"to {change.assigned_to}", change.reason]
    said = "".join(f"  {fact}" for fact in facts if fact)
    return f"{change.sequence:>8}  {change.time}  {change.change:<12} {states:<24} {change.actor or '(system)'}{said}"


def _minute(time: str) -> str:
    """`10:15 UTC` of an RFC 3339 text."""
    return f"{time[11:16]} UTC"
