"""`vigil evaluate NAME… --data DIR`: how good scores are on recorded patients, with chance and NEWS2 beside them.

`vigil evaluate ward`: the alarms of a simulated ward with ground truth, with plain thresholds beside them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from contracts.errors import InvalidInput, VigilError

if TYPE_CHECKING:
    from inference.datasets.recording import Recording
    from inference.evaluate.evaluation import Evaluation
    from inference.evaluate.forecasts import Forecasts
    from inference.evaluate.replayed import Replayed
    from inference.evaluate.scorers import Score

_OWN: Final = ("random", "news2", "personal_baseline", "pca_residual", "lightgbm")
_ALWAYS: Final = ("random", "news2")


def evaluate(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Scores: " + ", ".join(_OWN) + ", a model of this release, or the folder of a bundle. Or `ward`: alarms "
            "of a simulated ward against what truly happens in it."
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(help="A folder in the layout of sepsis2019b or cinc2012, wherever it lies.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report with plots to this file.")] = None,
    patients: Annotated[
        str,
        typer.Option(
            help="all, train, validation or locked. By default locked where a model was trained on these data, else all."
        ),
    ] = "",
    inputs: Annotated[
        str, typer.Option(help="What lightgbm is trained on in folds: device, stream, vitals, context or all.")
    ] = "vitals",
    folds: Annotated[int, typer.Option(min=2, help="Folds by patient, for scores that are fitted here.")] = 5,
    minutes: Annotated[
        Path | None, typer.Option(help="1 Hz numerics to judge a forecaster by. Default: the folder bidmc beside the data.")
    ] = None,
    train_set: Annotated[
        str, typer.Option(help="With cinc2012: train lightgbm on this set alone and judge it on the others.")
    ] = "",
    draws: Annotated[int, typer.Option("--bootstrap", min=0, help="Draws of patients for the intervals.")] = 1000,
    stress: Annotated[bool, typer.Option("--stress", help="Also score the data with things wrong with them.")] = False,
    silence: Annotated[
        int, typer.Option(min=1, help="Hours without a further alarm of the patient after each, for every score alike.")
    ] = 6,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same figures.")] = 1,
    bags: Annotated[int, typer.Option(min=1, help="Models of different seeds that lightgbm is the mean of.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the training in folds.")] = 1,
    beds: Annotated[int, typer.Option(help="With `ward`: how many beds.")] = 200,
    hours: Annotated[float, typer.Option(help="With `ward`: how long, in event time.")] = 24.0,
    scenario: Annotated[str, typer.Option(help="With `ward`: what happens there, as in `vigil simulate`.")] = "day",
    rules: Annotated[
        Path | None, typer.Option(help="With `ward`: a rule file instead of the shipped rules.")
    ] = None,
    processes: Annotated[int, typer.Option(help="With `ward`: processes; the figures do not depend on it. 0: one a core.")] = 0,
) -> None:
    """Judge scores on recorded patients by replaying them in event time: ranking, alarms at a budget, calibration, subgroups.

    Or, with `ward`, judge the alarms themselves: sensitivity to critical events and notifications a patient-day.
    """
    if names == ["ward"]:
        from cli.backtesting.ward_evaluation import run

        run(beds=beds, hours=hours, seed=seed, scenario=scenario, rules=rules, processes=processes, as_json=as_json)
        return
    if data is None:
        raise InvalidInput("data", "name a folder of recordings: vigil evaluate NAME --data DIR")
    from inference.datasets.folders import read_folder
    from inference.evaluate.alarms import Stages
    from inference.evaluate.evaluation import Plan
    from inference.evaluate.evaluation import evaluate as judge
    from inference.evaluate.forecasters import is_forecaster, judge_forecasters
    from inference.evaluate.replayed import Replayed
    from inference.evaluate.report import figures
    from inference.evaluate.report import report as page

    def say(line: str) -> None:
        sys.stderr.write(line + "\n")

    if report is not None:
        figures()
    say(f"reading {data.name}")
    recording = read_folder(data)
    wanted = [*_ALWAYS, *(name for name in names if name not in _ALWAYS)]
    paths = {name: _folder(name) for name in wanted if name not in _OWN}
    part = patients or _part(paths, recording)
    forecasters = {name: paths[name] for name in paths if is_forecaster(paths[name])}
    replayed = Replayed()
    scores = {
        _called(name, inputs): _score(
            name, paths, replayed, inputs=inputs, folds=folds, seed=seed, bags=bags, threads=threads, say=say
        )
        for name in wanted
        if name not in forecasters
    }
    if train_set:
        recording, scores = _by_set(data, train_set, wanted, inputs, seed, bags, threads, scores, say)
    chosen = _chosen(recording, part)
    plan = Plan(draws=draws, seed=seed, stress=stress, stages=Stages(silence_h=silence))
    found = judge(chosen, scores, plan, part=part, say=say)
    if forecasters:
        beside = minutes or data.parent / "bidmc"
        found = replace(found, forecasts=judge_forecasters(forecasters, chosen, beside, part, draws=draws, seed=seed, say=say))
    if report is not None:
        report.write_text(page(found), encoding="utf-8")
        say(f"report written to {report}")
    if as_json:
        typer.echo(json.dumps(found.document()))
    else:
        _show(found)


def _score(
    name: str,
    paths: dict[str, Path],
    replayed: Replayed,
    *,
    inputs: str,
    folds: int,
    seed: int,
    bags: int,
    threads: int,
    say: Callable[[str], None],
) -> Score:
    from inference.evaluate import scorers

    if name == "random":
        return scorers.random(seed)
    if name == "news2":
        return scorers.news2
    if name == "personal_baseline":
        return scorers.personal_baseline
    if name == "pca_residual":
        return scorers.pca_residual(folds)
    if name == "lightgbm":
        return scorers.lightgbm(inputs, folds, seed, bags, threads, say)
    return scorers.bundle(paths[name], replayed=replayed)


def _called(name: str, inputs: str) -> str:
    """The name in the output: which inputs the trees had is part of it; a bundle's folder stands for model and version."""
    if name == "lightgbm" and inputs != "vitals":
        return f"lightgbm_{inputs}"
    return name if name in _OWN or "/" not in name else " ".join(Path(name).parts[-2:])


def _folder(name: str) -> Path:
    """The folder of a bundle: as given, or the newest version that the release ships under this name."""
    from inference.serving.choice import order
    from inference.serving.folders import SHIPPED

    if (Path(name) / "manifest.json").is_file():
        return Path(name)
    versions = sorted(
        (p for p in (SHIPPED / name).glob("*") if (p / "manifest.json").is_file()), key=lambda p: order(p.name)
    )
    if "/" in name or not versions:
        shipped = sorted({path.parents[1].name for path in SHIPPED.glob("*/*/manifest.json")})
        raise VigilError(
            f"There is no score called {name!r}, and it is not the folder of a bundle.",
            fix="vigil evaluate with one of: " + ", ".join((*_OWN, *shipped)),
        )
    return versions[-1]


def _part(paths: dict[str, Path], recording: Recording) -> str:
    from inference.evaluate.scorers import saw

    return "locked" if any(saw(path, recording) for path in paths.values()) else "all"


def _chosen(recording: Recording, part: str) -> Recording:
    from inference.datasets.split import Part, members

    if part == "all":
        return recording
    if part not in tuple(Part):
        raise InvalidInput("patients", f"must be all, {', '.join(Part)}")
    chosen = recording.of_patients(members(recording.patients, Part(part)))
    if not len(chosen.moments):
        raise InvalidInput("patients", f"none of the patients are in the part {part}")
    return chosen


def _by_set(
    data: Path,
    train_set: str,
    wanted: list[str],
    inputs: str,
    seed: int,
    bags: int,
    threads: int,
    scores: dict[str, Score],
    say: Callable[[str], None],
) -> tuple[Recording, dict[str, Score]]:
    """The sets but one, and trees trained on that one."""
    from inference.datasets import cinc2012
    from inference.evaluate import scorers

    teacher = cinc2012.read(data, (train_set,))
    others = tuple(s for s in cinc2012.sets_in(data) if s != train_set)
    if "lightgbm" in wanted:
        scores[_called("lightgbm", inputs)] = scorers.lightgbm_of(teacher, inputs, seed, bags, threads, say)
    return cinc2012.read(data, others), scores


def _show(found: Evaluation) -> None:
    console = Console(highlight=False)
    timed = any(judged.at_budget for judged in found.scorers.values())
    console.print(
        f"{found.data}: {found.patients:,} patients ({found.part}), {found.events:,} with an event, "
        f"{found.rows:,} moments, prevalence {found.prevalence:.2%}"
    )
    table = Table("score", "AUROC (95 %)", "AUPRC (95 %)", *(f"found at {b}/day" for b in ("0.1", "0.25", "0.5", "1")))
    for name, judged in found.scorers.items():
        table.add_row(
            name,
            f"{judged.auroc:.3f} ({judged.auroc_interval[0]:.3f}–{judged.auroc_interval[1]:.3f})",
            f"{judged.auprc:.4f} ({judged.auprc_interval[0]:.4f}–{judged.auprc_interval[1]:.4f})",
            *(f"{a.sensitivity:.2f} (PPV {a.ppv:.3f}, {a.lead_hours_median:.0f} h)" for a in judged.at_budget.values()),
        )
    console.print(table)
    if timed:
        console.print(
            f"Found: events with an alarm in the 12 h before, alarms {found.silence_h} h apart; PPV and median lead in brackets."
        )
    for name, judged in found.scorers.items():
        lines = [f"moments scored {judged.scored:.1%}"]
        if judged.utility is not None:
            lines.append(f"utility {judged.utility:.3f}")
        if judged.event_1 is not None:
            lines.append(f"min(sensitivity, PPV) {judged.event_1:.3f}")
        if judged.calibration is not None:
            c = judged.calibration
            lines.append(
                f"calibration slope {c.slope:.2f}, intercept {c.intercept:.2f}, Brier {c.brier:.5f}, ECE {c.ece:.4f}"
            )
        console.print(f"{name}: " + "; ".join(lines) + (f" ({judged.note})" if judged.note else ""))
    tested = {name: judged for name, judged in found.scorers.items() if judged.stress}
    if tested:
        harmed = Table("AUROC with", *tested)
        harmed.add_row("nothing wrong", *(f"{judged.auroc:.3f}" for judged in tested.values()))
        for kind in next(iter(tested.values())).stress:
            left = ((judged.stress[kind][0], judged.auroc) for judged in tested.values())
            harmed.add_row(kind, *(f"{auroc:.3f} ({auroc - whole:+.3f})" for auroc, whole in left))
        console.print(harmed)
    for name, forecasts in found.forecasts.items():
        _show_forecasts(console, name, forecasts)


def _show_forecasts(console: Console, name: str, found: Forecasts) -> None:
    table = Table(
        f"{name}: of", "minutes ahead", "values", "nats a value", "gain over persistence (95 %)", "over the personal baseline",
        "within 50 %", "90 %",
    )  # fmt: skip
    for line in found.lines:
        table.add_row(line.ground, str(line.ahead_minutes), f"{line.values:,}", f"{line.nll:.3f}", *line.shown())
    console.print(table)
    console.print(f"{name}: minutes are semi-synthetic between charted hours; the two other grounds are real ({found.note})")
