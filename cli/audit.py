"""`vigil audit`: who has seen, changed and been denied what, and whether the log is as it was written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from contracts.errors import VigilError
from infra.runtime.settings import load

if TYPE_CHECKING:
    from infra.runtime.sql.audit import Entry, Head

app = typer.Typer(help="Look at the audit log, and check that nobody has touched it.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
# How a head stands in the log of the API, whichever way that is written.
_SEQ: Final = re.compile(r'audit_seq"?[=:]\s*(\d{1,18})')
_HASH: Final = re.compile(r'audit_hash"?[=:]\s*"?([0-9a-f]{64})')


@app.command("verify")
def verify(
    heads: Annotated[
        list[Path] | None,
        typer.Option(
            help="Log files in which the API has told heads of the chain; by default those of this machine's API."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at every row. Says which one was changed, removed, added or moved; exit status 1 then."""
    from cli.account_desk import desk

    files = heads if heads is not None else sorted((load().state_dir / "logs").glob("api*.log*"))
    told = [head for file in files for head in heads_in(_lines(file))]
    with desk() as at:
        found = at.audit.verify(told)
    if as_json:
        typer.echo(json.dumps(asdict(found) | {"heads": len(told)}))
    elif found.flaw is None:
        typer.echo(
            f"The audit log is as it was written: {found.rows} rows, and {len(told)} heads told elsewhere are part of it."
        )
        typer.echo(
            f"Its head is row {found.head.seq}, {found.head.hash}. Keep it where the database's owner cannot write."
        )
    else:
        typer.echo(
            f"The audit log was touched: {found.flaw.what}. The {found.rows} rows before that are as they were written."
        )
    if found.flaw is not None:
        raise typer.Exit(1)


@app.command("show")
def show(
    actor: Annotated[str | None, typer.Option(help="Only of this account.")] = None,
    patient: Annotated[str | None, typer.Option(help="Only about this patient (key).")] = None,
    outcome: Annotated[str | None, typer.Option(help="Only these: allowed, denied or failed.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Print entries, oldest first."""
    from cli.account_desk import desk

    with desk() as at:
        rows = at.audit.page(actor=actor, patient=patient, outcome=outcome, limit=limit)
    for seq, entry in reversed(rows):
        typer.echo(json.dumps({"seq": seq, **asdict(entry)}) if as_json else _line(seq, entry))


def heads_in(lines: Iterable[str]) -> list[Head]:
    """Heads of the chain that a log tells. Pure."""
    from infra.runtime.sql.audit import Head

    found = [(_SEQ.search(line), _HASH.search(line)) for line in lines if "audit_hash" in line]
    return [Head(seq=int(seq[1]), hash=digest[1]) for seq, digest in found if seq and digest]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError as error:
        raise VigilError(f"The file {file} cannot be read.", cause=str(error.strerror)) from error


def _line(seq: int, entry: Entry) -> str:
    time = datetime.fromtimestamp(entry.at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    parts = [
        f"{seq:>8}  {time}  {entry.actor or '(nobody)':<16} {entry.outcome:<8} {entry.action:<15}", entry.patient, entry.object,
        entry.reason, f"{entry.times} times" if entry.times > 1 else None, entry.source and f"from {entry.source}",
    ]  # fmt: skip
    return "  ".join(part for part in parts if part)
