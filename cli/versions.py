"""Versions of what is changed through SQL (rules, the reach policy), as a table or as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from infra.runtime.sql.rules import RuleVersion


def print_versions(found: Sequence[RuleVersion], shipped: str, *, as_json: bool) -> None:
    """Who made each version, when and why. `shipped`: what version 0 is, for people."""
    if as_json:
        rows = [{"version": v.number, "author": v.author, "reason": v.reason, "at_ms": v.at_ms} for v in found]
        typer.echo(json.dumps({"versions": rows}))
        return
    table = Table("version", "by", "when (UTC)", "reason")
    for version in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(version.at_ms / 1000))
        table.add_row(str(version.number), version.author, when, version.reason)
    table.add_row("0", "vigil", "", shipped)
    Console().print(table)
