"""One request to the API about an alarm, and its answer for a person."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from contracts.errors import Retryable, VigilError
from infra.runtime.plain_http import Answer, ask, check_address
from infra.runtime.settings import load

ApiAt = Annotated[str | None, typer.Option("--api", help="Address of the API; by default the one on this machine.")]
As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who you are; by default your name on this machine.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ACTOR_HEADER: Final = "X-Vigil-Actor"
_ANSWER_S: Final = 10.0
_LOG_IN: Final = 401


def read(api: str | None, path: str) -> Any:
    """What the API has at `path`. Raises `VigilError` with what it says against it."""
    return _checked(_ask(api, path))


def act(
    api: str | None, alarm: str, action: str, body: Mapping[str, object], person: str | None, as_json: bool
) -> None:
    """Do `action`, and print the alarm as it then stands."""
    said = {name: value for name, value in body.items() if value is not None}
    headers = {ACTOR_HEADER: person or getpass.getuser()}
    found = _checked(_ask(api, f"alarms/{quote(alarm, safe='')}/{action}", body=said, headers=headers))
    typer.echo(json.dumps(found) if as_json else standing(found))


def standing(alarm: Mapping[str, Any]) -> str:
    """How the alarm stands, in one line."""
    parts = [f"{alarm['state']}: {alarm['text']}"]
    if alarm["acknowledged_until"]:
        parts.append(f"acknowledged by {alarm['acknowledged_by']} until {_minute(alarm['acknowledged_until'])}")
    if alarm["snoozed_until"]:
        parts.append(f"snoozed by {alarm['snoozed_by']} until {_minute(alarm['snoozed_until'])}")
    if alarm["label"]:
        parts.append(f"labelled {alarm['label']} by {alarm['labelled_by']}")
    return "; ".join(parts)


def history_lines(items: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each change."""
    for item in items:
        states = item["to"] if item["from"] in (None, item["to"]) else f"{item['from']} -> {item['to']}"
        facts = [item["label"], item["assigned_to"] and f"to {item['assigned_to']}", item["reason"]]
        said = "".join(f"  {fact}" for fact in facts if fact)
        yield f"{item['sequence']:>8}  {item['time']}  {item['change']:<12} {states:<24} {item['actor'] or '(system)'}{said}"


def _ask(api: str | None, path: str, **request: Any) -> Answer:
    settings = load()
    address = (api or settings.local_api).rstrip("/")
    check_address(address, setting="--api")
    if token := settings.token.get_secret_value():
        request["headers"] = {**request.get("headers", {}), "Authorization": f"Bearer {token}"}
    try:
        return ask(f"{address}/api/v1/{path}", timeout_s=_ANSWER_S, **request)
    except Retryable as error:
        raise VigilError(
            f"The API at {address} does not answer.", cause="Vigil does not run, or listens elsewhere", fix="vigil up"
        ) from error


def _checked(answer: Answer) -> Any:
    try:
        document = json.loads(answer.body)
        if answer.ok:
            return document
        said = str(document["detail"])
    except (ValueError, KeyError, TypeError):
        raise VigilError("What answered is not a Vigil API.", fix="name the API with --api") from None
    fix = "set VIGIL_TOKEN to what `vigil users token NAME` prints" if answer.status == _LOG_IN else ""
    raise VigilError(said, cause=f"the API answered {answer.status}", fix=fix)


def _minute(time: str) -> str:
    """`10:15 UTC` of an RFC 3339 text."""
    return f"{time[11:16]} UTC"
