"""`vigil backtest [RULES]`: what rules or a model would have done, through the code that runs live, before anybody is called."""

from __future__ import annotations

import json
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.errors import InvalidInput, VigilError

if TYPE_CHECKING:
    from alerting.rules.model import RuleSet
    from cli.backtesting.run import Backtested
    from cli.backtesting.sources import Played


def backtest(
    rules: Annotated[
        Path | None, typer.Argument(help="A draft of rules, TOML or JSON. Without one today's rules are judged alone.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A folder of recordings: an export, or the layout of sepsis2019b, cinc2012 or bidmc.")
    ] = None,
    since: Annotated[datetime | None, typer.Option("--from", help="Stored streams from here on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="Until when, UTC. Default: now.")] = None,
    ward: Annotated[int, typer.Option(min=0, help="Beds of a simulated ward, instead of data.")] = 0,
    hours: Annotated[float, typer.Option(min=0.1, max=24 * 31, help="Hours of the simulated ward.")] = 24.0,
    scenario: Annotated[str, typer.Option(help="Of the simulated ward: day, demo, calm, sepsis, storm or load.")] = "load",
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated ward.")] = 1,
    against: Annotated[Path | None, typer.Option(help="Today's rules, as a file. Default: the ones that ship.")] = None,
    model: Annotated[
        str, typer.Option(help="Try out a model: the folder of a bundle, or the name of one that ships.")
    ] = "",
    patients: Annotated[str, typer.Option(help="all, train, validation or locked.")] = "all",
    surfaces: Annotated[
        list[str] | None, typer.Option("--surface", help="A limit to vary, such as spo2_low; may be given again.")
    ] = None,
    equal: Annotated[
        list[str] | None,
        typer.Option("--equal", help="Compare a model's alarms with plain thresholds at equal sensitivity; may be given again."),
    ] = None,
    score: Annotated[bool, typer.Option(help="Whether models score too; limits alone are faster.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    page: Annotated[Path | None, typer.Option("--report", help="Write an HTML report to this file.")] = None,
) -> None:
    """Play recordings, stored streams or a simulated ward through the live code: alarms a patient-day, events caught."""
    from cli.backtesting.run import run

    def say(line: str) -> None:
        sys.stderr.write(line + "\n")

    if equal:
        _at_equal_sensitivity(rules or against, data, equal, patients, seed, page, as_json, say)
        return
    today, drafts = _read(against), [_read(rules)] if rules is not None else []
    with _played(data, since, until, ward, hours, scenario, seed, patients, say) as played:
        found = run(
            played, today, draft=drafts[0] if drafts else None, model=model, surfaces=surfaces or (), score=score, say=say
        )
    if page is not None:
        from cli.backtesting.report import report

        text = report(played.about, found.facts(), found.outcomes, found.difference, found.surfaces)
        page.write_text(text, encoding="utf-8")
        say(f"report written to {page}")
    if as_json:
        typer.echo(json.dumps(found.document()))
    else:
        _show(found)


def _at_equal_sensitivity(
    rules: Path | None,
    data: Path | None,
    names: list[str],
    patients: str,
    seed: int,
    page: Path | None,
    as_json: bool,
    say: Callable[[str], None],
) -> None:
    from cli.backtesting.equal_sensitivity import HEAD, cells, policies
    from cli.backtesting.models import finding_of, folder_of
    from inference.datasets.folders import read_folder
    from inference.datasets.split import Part, members
    from inference.evaluate import scorers
    from inference.evaluate.replayed import Replayed

    if data is None:
        raise VigilError("Alarms can be compared on recordings only.", fix="--data DIR, with the times of events in it")
    if patients == "all":
        patients = Part.LOCKED
    if patients not in (Part.LOCKED, Part.TRAIN):
        raise InvalidInput("patients", "must be locked or train: thresholds are chosen on the validation patients")
    recording = read_folder(data)
    parts = [recording.of_patients(members(recording.patients, part)) for part in (Part(patients), Part.VALIDATION)]
    scores = {"random": scorers.random(seed), "news2": scorers.news2}
    folders = {name: folder_of(name) for name in names if name not in scores}
    replayed = Replayed()  # what models have in common is worked out once
    scores |= {name: scorers.bundle(folder, replayed=replayed) for name, folder in folders.items()}
    kept = {name: finding_of(folder) for name, folder in folders.items() if scorers.saw(folder, recording)}
    rows = policies(parts[0], parts[1], _read(rules), scores, kept, seed=seed, say=say)
    about = f"{recording.name}: {len(parts[0].patients):,} patients ({patients}), {parts[0].events:,} events"
    if page is not None:
        from cli.backtesting.report import simple, table

        text = "The thresholds of scores were chosen on other patients, at the sensitivity of the plain thresholds there."
        page.write_text(simple(f"Alarms at equal sensitivity, {about}", text, table(HEAD, [cells(row) for row in rows])))
        say(f"report written to {page}")
    if as_json:
        typer.echo(json.dumps({"data": about, "policies": [row.document() for row in rows]}))
        return
    shown = Table(*HEAD)
    for row in rows:
        shown.add_row(*cells(row))
    console = Console(highlight=False)
    console.print(about)
    console.print(shown)


def _read(path: Path | None) -> RuleSet:
    from alerting.rules.load import parse, parse_json, shipped

    if path is None:
        return shipped()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("rules", f"{path.name} cannot be read as text") from error
    if path.suffix == ".json":
        return parse_json(text, version=0)
    try:
        return parse(tomllib.loads(text), version=0)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput("rules", f"{path.name} is not valid TOML: {error}") from error


@contextmanager
def _played(
    data: Path | None,
    since: datetime | None,
    until: datetime | None,
    ward: int,
    hours: float,
    scenario: str,
    seed: int,
    patients: str,
    say: Callable[[str], None],
) -> Iterator[Played]:
    from cli.backtesting import sources
    from contracts.readings import EARLIEST_MS
    from inference.datasets.folders import read_folder

    if (data is not None) + (since is not None or until is not None) + (ward > 0) != 1:
        raise VigilError(
            "Say what to play.", fix="one of --data DIR, --from TIME (stored streams), or --ward BEDS (simulated)"
        )
    if ward:
        yield sources.of_ward(ward, hours, seed, scenario, EARLIEST_MS)
        return
    if data is not None and (data / "numerics_1hz.parquet").is_file():
        yield sources.of_numerics(data.resolve())
        return
    with tempfile.TemporaryDirectory(prefix="vigil-backtest-") as scratch:
        folder = data or _stored(Path(scratch), since, until, say)
        say(f"reading {folder.name}")
        recording = read_folder(folder)
        if patients != "all":
            from inference.datasets.split import Part, members

            if patients not in tuple(Part):
                raise InvalidInput("patients", f"must be all, {', '.join(Part)}")
            recording = recording.of_patients(members(recording.patients, Part(patients)))
        yield sources.of_recording(recording)


def _stored(folder: Path, since: datetime | None, until: datetime | None, say: Callable[[str], None]) -> Path:
    from cli.export import milliseconds
    from cli.stored_minutes import write_minutes
    from infra.runtime.clock import SystemClock
    from infra.runtime.settings import load

    until_ms = SystemClock().now_ms() if until is None else milliseconds(until)
    rows, people = write_minutes(load(), folder / "values.parquet", 0 if since is None else milliseconds(since), until_ms)
    if not rows:
        raise VigilError("There is nothing stored in this time.", fix="choose another --from and --to")
    (folder / "events.csv").write_text("patient,time_ms\n", encoding="utf-8")
    say(f"{rows:,} stored values of {people:,} patients; no events are known for them")
    return folder


def _show(found: Backtested) -> None:
    from cli.backtesting.report import HEAD, row

    console = Console(highlight=False)
    console.print(f"{found.played.about}: {found.facts()}")
    table = Table(*HEAD)
    for name, what in found.outcomes.items():
        table.add_row(*row(name, what))
    console.print(table)
    for name, what in found.outcomes.items():
        most = ", ".join(f"{condition} {count:,}" for condition, count in list(what.by_condition.items())[:8])
        console.print(f"{name}: {most or 'no alarm'}")
    if found.difference is not None:
        away = found.difference
        console.print(
            f"Draft and today: {away.both:,} alarms in both, {len(away.only_new):,} new, {len(away.only_today):,} gone, "
            f"{away.urgency:,} of another priority; events gained {len(away.events_gained)}, lost {len(away.events_lost)}"
        )
        for condition, (more, less) in list(away.by_condition().items())[:12]:
            console.print(f"  {condition}: {more:,} new, {less:,} gone")
    for each in found.surfaces:
        for width in sorted({point.filter for point in each.points}):
            title = f"{each.condition}: alarms a patient-day (events of {each.events})"
            delays = sorted({point.delay_s for point in each.points})
            grid = Table(each.unit, *(f"{delay:g} s" for delay in delays), title=f"{title}, median of {width}")
            for threshold in dict.fromkeys(point.threshold for point in each.points):
                some = [p for p in each.points if (p.threshold, p.filter) == (threshold, width)]
                grid.add_row(f"{threshold:g}", *(f"{p.alarms_per_patient_day:.3f} ({p.caught})" for p in some))
            console.print(grid)
