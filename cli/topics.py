"""`vigil topics`: the topic table, and making the broker match it."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.topics import TOPICS
from infra.runtime.kafka import create_topics
from infra.runtime.settings import load

app = typer.Typer(help="Show and create the Kafka topics.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON list.")]


@app.command("list")
def list_topics(as_json: AsJson = False) -> None:
    """Print the topic table: name, what it carries, partitions, how long data is kept."""
    settings = load()
    if as_json:
        rows = [
            {
                "name": settings.topic(t.name),
                "payload": t.payload,
                "partitions": t.partitions,
                "retention_ms": t.retention_ms,
                "cleanup": t.cleanup,
            }
            for t in TOPICS
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("topic", "payload", "partitions", "kept")
    for topic in TOPICS:
        kept = "for ever" if topic.retention_ms < 0 else f"{topic.retention_ms / 3_600_000:g} h"
        table.add_row(settings.topic(topic.name), topic.payload, str(topic.partitions), kept)
    Console().print(table)


@app.command("apply")
def apply(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    prefix: Annotated[str | None, typer.Option(help="Put before every topic name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Create missing topics and correct their settings. The number of partitions of a topic is never changed."""
    settings = load({"topic_prefix": prefix})
    changes = create_topics(settings, TOPICS, dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps([{"topic": c.topic, "action": c.action, "detail": c.detail} for c in changes], indent=2))
        return
    table = Table("topic", "would be" if dry_run else "action", "detail")
    for change in changes:
        table.add_row(change.topic, change.action, change.detail)
    Console().print(table)
