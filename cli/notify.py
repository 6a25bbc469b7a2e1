"""`vigil notify`: try out whether messages reach people, and make the keys that channels need."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from contracts.errors import VigilError
from contracts.notices import Channel
from infra.runtime.settings import Settings, load, variable

if TYPE_CHECKING:
    from alerting.notifiers.trial import Trial

app = typer.Typer(help="Messages to people: try a channel out, make keys.", no_args_is_help=True)

_SECRET_BYTES: Final = 32  # of a webhook secret; the specification wants 24 to 64


@app.command("test")
def try_out(
    channel: Annotated[Channel, typer.Argument(help="The way to take.")],
    address: Annotated[
        str,
        typer.Argument(
            help="Where to: a URL, an e-mail address, the JSON of a push subscription. `-` reads it from standard input."
        ),
    ],
    config: Annotated[
        Path | None, typer.Option(help="Settings (TOML) to try instead of those in force.", exists=True, dir_okay=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send one test message, say what happened and what to do. Nothing of a patient is in it. Ends with 1 if it was not taken."""
    from alerting.notifiers.trial import run_trial
    from infra.runtime.logs import configure_logs

    configure_logs("console", "error")
    given = sys.stdin.read().strip() if address == "-" else address
    began = time.monotonic()
    trial = asyncio.run(run_trial(channel, given, _settings(config)))
    _say(channel, trial, round((time.monotonic() - began) * 1000), as_json)
    if not trial.taken:
        raise typer.Exit(1)


def _say(channel: Channel, trial: Trial, took_ms: int, as_json: bool) -> None:
    if as_json:
        said = {
            "channel": channel,
            "status": trial.status,
            "detail": trial.detail,
            "notice": trial.notice_id,
            "took_ms": took_ms,
        }
        typer.echo(json.dumps(said))
        return
    typer.echo(f"{channel}: {trial.status}, {trial.detail} ({took_ms} ms, notice {trial.notice_id})")
    typer.echo(f"Next: {trial.next}")


@app.command("keys")
def keys(
    into: Annotated[Path | None, typer.Option(help="Folder for the keys. Empty: `keys` in the state folder.")] = None,
) -> None:
    """Make the private key of web push (VAPID) and the secret that signs webhooks. What is there already is kept: with another
    key no browser that has subscribed would take a message any more."""
    from alerting.notifiers.web_push import new_key, public_key
    from alerting.notifiers.webhook import new_secret

    folder = into or load().state_dir / "keys"
    folder.mkdir(parents=True, exist_ok=True)
    key = _keep(folder / "web-push.key", new_key())
    _keep(folder / "webhook.secret", new_secret(secrets.token_bytes(_SECRET_BYTES)))
    typer.echo(f"\nSet {variable('web_push_key')}_FILE={folder / 'web-push.key'}")
    typer.echo(f"Set {variable('web_push_public_key')}={public_key(key)} (for browsers)")
    typer.echo(f"Set {variable('web_push_contact')}=mailto:… (whom push services may ask)")
    typer.echo(
        f"Set {variable('webhook_secret')}_FILE={folder / 'webhook.secret'}, and give the secret to who receives webhooks"
    )


def _keep(path: Path, made: str) -> str:
    """Write `made`, for this user's eyes alone, unless something is there; gives what is there now."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(made + "\n")
    except FileExistsError:
        typer.echo(f"kept: {path}")
        return path.read_text(encoding="ascii").strip()
    typer.echo(f"made: {path}")
    return made


def _settings(config: Path | None) -> Settings:
    if config is None:
        return load()
    try:
        given = tomllib.loads(config.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise VigilError(
            f"{config.name} is not TOML: {error}.", fix="write NAME = VALUE, as `vigil config show` names them"
        ) from error
    return load(given)
