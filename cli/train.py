"""`vigil train NAME --data DIR`: from recordings or stored streams to a bundle. Needs the extra `train`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from contracts.errors import VigilError

_EXTRA = "uv sync --extra train, or pip install 'vigil-rpm[train]'"


def train(
    name: Annotated[
        str, typer.Argument(help="The model, such as deterioration_torch_dense; `vigil train list` names all.")
    ],
    data: Annotated[
        Path | None, typer.Option(help="Folder of a recording. Default: VIGIL_DATA_DIR/sepsis2019b.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to put NAME/VERSION. Default: where registered models lie.")
    ] = None,
    minutes: Annotated[
        Path | None, typer.Option(help="1 Hz numerics for the forecaster. Default: the folder bidmc beside the data.")
    ] = None,
    version: Annotated[str, typer.Option(help="Version of the bundle. Default: the next that is free.")] = "",
    smoke: Annotated[bool, typer.Option("--smoke", help="A few patients, two epochs: does it run?")] = False,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and data give the same model.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from where a training was stopped.")] = False,
    search: Annotated[
        bool, typer.Option("--search", help="Look for better hyper-parameters on validation patients.")
    ] = False,
    trials: Annotated[int, typer.Option(min=1, help="How many a search tries.")] = 12,
) -> None:
    """Train a model, calibrate it on other patients and export it; the last fifth of the patients is never touched."""
    from infra.runtime.settings import load

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow tells of its own build otherwise
    settings = load()
    console = Console()
    begun = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - begun:6.0f} s[/]  {line}", highlight=False, soft_wrap=True)

    try:
        from inference.serving.folders import SHIPPED
        from inference.train import run
    except ModuleNotFoundError as error:
        raise VigilError(
            f"Training cannot start: there is no module {error.name}.",
            cause="training needs the extra `train`",
            fix=_EXTRA,
        ) from error
    if name == "list":
        for line in run.names():
            console.print(line, highlight=False)
        return
    into = out or settings.models_folder
    order = run.Order(
        name=name,
        data=data or run.default_data(name, settings.data_dir),
        out=into,
        minutes=minutes,
        version=version or _next(into / name, SHIPPED / name),
        smoke=smoke,
        seed=seed,
        resume=resume,
    )
    if search:
        for line in run.look_for_better(order, trials, say):
            console.print(line, highlight=False)
        return
    folder = run.make(order, say)
    say(f"wrote {folder}")


def _next(*folders: Path) -> str:
    """The version after the newest whole number in any of `folders`: a version of the release is never made again."""
    have = [int(entry.name) for folder in folders if folder.is_dir() for entry in folder.iterdir() if entry.name.isdecimal()]
    return str(max(have, default=0) + 1)
