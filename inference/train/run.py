"""One training as ordered: which data, which model, where to. The shell of `vigil train`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from contracts.errors import InvalidInput, VigilError
from inference.datasets.folders import read_folder
from inference.train import classifier
from inference.train.models import MEMBERS, MODELS, net_of
from inference.train.recipe import read_recipe
from inference.train.search import search

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """See the options of `vigil train`. `version` empty: the next whole number in `out`. `minutes`: 1 Hz numerics for the
    forecaster, by default the folder `bidmc` beside `data`."""

    name: str
    data: Path
    out: Path
    minutes: Path | None = None
    version: str = ""
    smoke: bool = False
    seed: int = 1
    resume: bool = False

    @property
    def command(self) -> str:
        """What makes the same model again, without anything of this machine."""
        options = (" --smoke" if self.smoke else "") + f" --seed {self.seed}"
        return f"vigil train {self.name} --data {self.data.name}{options}"


def names() -> list[str]:
    """Every model and the net it is of."""
    return [f"{name}  ({net})" for name, net in MODELS.items()]


def default_data(name: str, data_dir: Path | None) -> Path:
    """The folder that a shipped model was trained on. Raises `VigilError` when no folder of recordings is known."""
    if data_dir is None:
        raise VigilError(
            f"There is nothing to train {name} on.",
            cause="neither --data nor VIGIL_DATA_DIR names a folder of recordings",
            fix="vigil train NAME --data FOLDER",
        )
    return data_dir / "sepsis2019b"


def make(order: Order, say: Say) -> Path:
    """Train and write; the folder of the bundle. Raises `InvalidInput` for data or names that cannot be."""
    net = net_of(order.name)
    folder = order.out / order.name / (order.version or _next(order.out / order.name))
    if folder.exists():
        raise InvalidInput("version", "exists already: a version of a model never changes, take the next one")
    if net == "ensemble":
        return _together(order, folder, say)
    keep = order.out / order.name / "checkpoint.safetensors"
    say(f"reading {order.data.name}")
    recording = read_folder(order.data)
    if net == "lightgbm":
        from inference.train import trees

        trees.train(order.name, recording, folder, seed=order.seed, command=order.command, smoke=order.smoke, say=say)
    elif net == "torch_gru":
        from inference.train import forecaster

        minutes = order.minutes or order.data.parent / "bidmc"
        forecaster.train(
            order.name, read_recipe(net), recording, minutes, folder, seed=order.seed, command=order.command,
            smoke=order.smoke, keep=keep, resume=order.resume, say=say,
        )  # fmt: skip
    else:
        classifier.train(
            order.name, net, read_recipe(net), recording, folder, seed=order.seed, command=order.command,
            smoke=order.smoke, keep=keep, resume=order.resume, say=say,
        )  # fmt: skip
    keep.unlink(missing_ok=True)
    return folder


def _together(order: Order, folder: Path, say: Say) -> Path:
    """The ensemble of the newest of each member in `out`. One that is not there, or was taught by validation patients and has not
    kept what it said of them before, is trained first."""
    from inference.train import ensemble, held_out

    members = []
    for name in MEMBERS:
        there = order.out / name / _newest(order.out / name)
        if not there.is_dir() or not (held_out.kept(there) or held_out.ask(there, read_folder(order.data))):
            say(f"{name} is trained first")
            there = make(replace(order, name=name, version="", resume=False), say)
        members.append(there)
    ensemble.train(order.name, members, folder, seed=order.seed, command=order.command, say=say)
    return folder


def look_for_better(order: Order, trials: int, say: Say) -> Iterator[str]:
    """The lines to put into the recipe's file, when a search found better numbers."""
    net = net_of(order.name)
    if net in ("torch_gru", "ensemble"):
        raise InvalidInput("search", f"is for the classifiers, and {order.name} is none of them")
    say(f"reading {order.data.name}")
    recording = classifier.thinned(read_folder(order.data), order.smoke)
    if net == "lightgbm":
        from inference.train import trees

        space, have = trees.read_space(), trees.read_numbers()
        judge = trees.judge(recording, order.seed)
    else:
        recipe = read_recipe(net)
        if order.smoke:
            recipe = recipe.changed({"epochs": 2})
        space, have = recipe.search, {**recipe.architecture, **recipe.fit.model_dump()}
        judge = classifier.judge(net, recipe, recording, order.seed)
    found = search(space, have, judge, trials=trials, seed=order.seed, say=say)
    yield f"best validation AUROC {found.auroc:.4f}; the recipe as it stands has {found.before:.4f}"
    yield from (f"{name} = {value}" for name, value in found.numbers.items())


def _next(folder: Path) -> str:
    """The version after the newest whole number in `folder`."""
    return str(int(_newest(folder)) + 1)


def _newest(folder: Path) -> str:
    """The newest version that is a whole number; 0 when there is none."""
    have = [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()] if folder.is_dir() else []
    return str(max(have, default=0))
