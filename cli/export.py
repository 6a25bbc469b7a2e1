"""`vigil export --out DIR`: what the stream stored, minute by minute, as Parquet to train and evaluate on, and labels."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from contracts.errors import VigilError

_DAY_MS: Final = 86_400_000


def export(
    out: Annotated[Path, typer.Option(help="A new folder for values.parquet, events.csv and labels.csv.")],
    since: Annotated[datetime | None, typer.Option(help="From when on, UTC. Default: everything that is kept.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Until when, UTC. Default: now.")] = None,
) -> None:
    """Write the minutes of every patient to a folder that `vigil train` and `vigil evaluate` read.

    `events.csv` is written with its heading alone: what is to be foreseen, and when it happened, is known to people.
    `labels.csv` has the alarms that staff called actionable, false or an artefact.
    """
    from cli.account_desk import noted
    from cli.stored_labels import write_labels
    from cli.stored_minutes import write_minutes
    from infra.runtime.clock import SystemClock
    from infra.runtime.settings import load

    if out.exists() and any(out.iterdir()):
        raise VigilError(f"The folder {out.name} is not empty.", fix="name a new folder")
    until_ms = SystemClock().now_ms() + _DAY_MS if until is None else milliseconds(until)
    since_ms = 0 if since is None else milliseconds(since)
    said = f"values {'of all time' if since is None else f'since {since}'}{'' if until is None else f' until {until}'}"
    noted("vigil export", said, action="patients.export")  # before the first value is read
    out.mkdir(parents=True, exist_ok=True)
    settings = load()
    rows, people = write_minutes(settings, out / "values.parquet", since_ms, until_ms)
    (out / "events.csv").write_text("patient,time_ms\n", encoding="utf-8")
    labels = write_labels(settings, out / "labels.csv", since_ms, until_ms)
    said = f"{rows:,} values of {people:,} patients and {labels:,} labelled alarms; write their events into events.csv"
    Console().print(said, highlight=False)


def milliseconds(moment: datetime) -> int:
    """Milliseconds UTC; a time without a zone is UTC."""
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
