"""`vigil simulate` and `vigil replay`: patients for a system that has none yet."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from infra.runtime.settings import load

if TYPE_CHECKING:  # the sources bring numpy and pyarrow: loaded when one is started, not for `vigil --help`
    from producers.sources.source import Summary

Speed = Annotated[float, typer.Option(min=0, help="Event seconds per second; 0: as fast as it goes (via kafka only).")]
Via = Annotated[Literal["gateway", "kafka"], typer.Option(help="Through the gateway, or straight to Kafka with own ticks.")]
Prefix = Annotated[str | None, typer.Option(help="Put before every topic name, to keep a replay apart from live data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")]
GatewayUrl = Annotated[str | None, typer.Option(help="Gateway to post to; by default the one on this machine.")]


def simulate(
    beds: Annotated[int, typer.Option(min=1, max=200_000, help="How many beds.")] = 24,
    scenario: Annotated[str, typer.Option(help="demo, calm, sepsis, storm, day or load.")] = "demo",
    seed: Annotated[int, typer.Option(help="The same seed gives the same ward.")] = 1,
    speed: Speed = 1.0,
    duration_s: Annotated[float | None, typer.Option(min=1, help="Event seconds to simulate; default: until Ctrl-C.")] = None,
    via: Via = "gateway",
    gateway: GatewayUrl = None,
    truth: Annotated[Path | None, typer.Option(help="Write the alarms that must come to this file.")] = None,
    prefix: Prefix = None,
    as_json: AsJson = False,
) -> None:
    """Stream a simulated ward: seeded physiology with deteriorations whose alarms are known beforehand."""
    from producers.sources import feed

    settings = load({"topic_prefix": prefix})
    summary = feed.simulate(
        settings,
        beds=beds,
        scenario=scenario,
        seed=seed,
        speed=speed,
        duration_s=duration_s,
        via=via,
        gateway_url=gateway or f"http://127.0.0.1:{settings.gateway_port}",
        truth_path=truth,
        on_progress=_progress(as_json),
    )
    _show(summary, as_json)


def replay(
    data: Annotated[Path | None, typer.Option(help="Folder of recordings; default: found, or the shipped sample.")] = None,
    speed: Speed = 1.0,
    hours: Annotated[float, typer.Option(min=0.01, help="Event hours per patient; recordings are chained.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Order in which recordings are chained.")] = 1,
    patients: Annotated[int | None, typer.Option(min=1, help="At most so many patients.")] = None,
    silent: Annotated[
        str | None, typer.Option(help="Let a device fall silent: PATIENT:FROM_S:TO_S, for example 0:600:900.")
    ] = None,
    via: Via = "gateway",
    gateway: GatewayUrl = None,
    prefix: Prefix = None,
    as_json: AsJson = False,
) -> None:
    """Replay real recordings at any speed. Chained recordings are semi-synthetic and marked so."""
    from producers.sources import feed

    settings = load({"topic_prefix": prefix})
    summary = feed.replay(
        settings,
        data_dir=data or settings.data_dir,
        speed=speed,
        hours=hours,
        seed=seed,
        patients=patients,
        silent=_silent(silent),
        via=via,
        gateway_url=gateway or f"http://127.0.0.1:{settings.gateway_port}",
        on_progress=_progress(as_json),
    )
    _show(summary, as_json)


def play(
    beds: Annotated[int, typer.Option(min=0, help="Simulated beds.")],
    recorded: Annotated[int, typer.Option(min=0, help="Patients replayed from recordings.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same ward.")],
    hours: Annotated[float, typer.Option(min=0.01, help="Event hours of the replay.")],
    gateway: Annotated[str, typer.Option(help="Gateway to post to.")],
) -> None:
    """What plays on a demo: a simulated ward and a replay side by side, until Ctrl-C. One process, half the memory."""
    from producers.sources import feed

    feed.play(
        load(),
        beds=beds,
        recorded=recorded,
        seed=seed,
        hours=hours,
        gateway_url=gateway,
        on_progress=_progress(quiet=False),
    )


def _silent(text: str | None) -> tuple[int, float, float] | None:
    if text is None:
        return None
    try:
        patient, start, end = text.split(":")
        return int(patient), float(start), float(end)
    except ValueError:
        raise typer.BadParameter("must be PATIENT:FROM_S:TO_S, for example 0:600:900", param_hint="--silent") from None


def _progress(quiet: bool) -> Callable[[str], None]:
    console = Console(stderr=True)

    def say(line: str) -> None:
        if not quiet:
            console.print(line, highlight=False)

    return say


def _show(summary: Summary, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(summary)))
        return
    console = Console()
    for name, value in dataclasses.asdict(summary).items():
        console.print(f"{name:>12}  {value}", highlight=False)
