"""`vigil config`: what is set, and where each setting comes from."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from infra.runtime.settings import Settings, load, variable

app = typer.Typer(help="Show settings and where they come from.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group, so that further subcommands keep `vigil config show` stable."""


@app.command("show")
def show(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Print every setting, its value (secrets hidden), its environment variable and its origin."""
    settings = load()
    rows = {name: _row(settings, name) for name in Settings.model_fields}
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("setting", "value", "from", "variable", "meaning")
    for name, row in rows.items():
        table.add_row(name, str(row["value"]), row["origin"], row["variable"], row["meaning"])
    Console().print(table)


def _row(settings: Settings, name: str) -> dict[str, Any]:
    value = getattr(settings, name)
    if isinstance(value, SecretStr):
        value = "(set)" if value.get_secret_value() else ""
    elif not isinstance(value, str | int | float | bool | dict | None):
        value = str(value)
    if variable(name) in os.environ or f"VIGIL_{name.upper()}" in os.environ:
        origin = "environment"
    elif name in settings.model_fields_set:
        origin = "file"
    else:
        origin = "default"
    return {
        "value": value,
        "origin": origin,
        "variable": variable(name),
        "meaning": Settings.model_fields[name].description or "",
    }
