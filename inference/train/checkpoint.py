"""Checkpoints of a training under way: one safetensors file, written whole or not at all. No pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from contracts.errors import InvalidInput

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """After `epoch` epochs. `fingerprint` names data, recipe and seed: only the same training may go on from it."""

    fingerprint: str
    epoch: int
    best_epoch: int
    history: tuple[float, ...]
    now: Arrays
    best: Arrays


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file at once: whoever is stopped in between finds the one before."""
    arrays = {f"now/{name}": np.ascontiguousarray(array) for name, array in checkpoint.now.items()}
    arrays.update({f"best/{name}": np.ascontiguousarray(array) for name, array in checkpoint.best.items()})
    about = {
        "fingerprint": checkpoint.fingerprint,
        "epoch": checkpoint.epoch,
        "best_epoch": checkpoint.best_epoch,
        "history": checkpoint.history,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_suffix(".part")
    save_file(arrays, staging, metadata={"about": json.dumps(about)})
    os.replace(staging, path)


def load(path: Path, fingerprint: str) -> Checkpoint:
    """Raises `InvalidInput` when there is none, it is damaged, or it is of another training."""
    if not path.is_file():
        raise InvalidInput("resume", "there is no checkpoint of this training")
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})["about"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        found = Checkpoint(
            fingerprint=str(about["fingerprint"]),
            epoch=int(about["epoch"]),
            best_epoch=int(about["best_epoch"]),
            history=tuple(float(v) for v in about["history"]),
            now={n.removeprefix("now/"): a for n, a in arrays.items() if n.startswith("now/")},
            best={n.removeprefix("best/"): a for n, a in arrays.items() if n.startswith("best/")},
        )
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput("resume", "the checkpoint is damaged: begin anew without --resume") from error
    if found.fingerprint != fingerprint:
        raise InvalidInput("resume", "the checkpoint is of other data, another recipe or another seed")
    return found
