"""Forecasters by their folders, judged on a part of the patients of a recording and of the records of real minutes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from contracts.errors import InvalidInput
from inference.bundles import load_bundle
from inference.datasets.minutes import hourly_change, hours_of, real_minutes, texture
from inference.datasets.recording import Recording
from inference.datasets.split import Part, members
from inference.evaluate.forecasts import Forecasts, grounds, judge
from inference.serving.opening import open_backend

Say = Callable[[str], None]


def is_forecaster(folder: Path) -> bool:
    """Whether the bundle says what comes next, and not who gets ill."""
    return load_bundle(folder).manifest.kind == "forecaster"


def judge_forecasters(
    folders: Mapping[str, Path], recording: Recording, minutes: Path, part: str, *, draws: int, seed: int, say: Say
) -> dict[str, Forecasts]:
    """Each of `folders` on the same minutes. `recording`: of the patients of `part` alone; `minutes`: a folder of 1 Hz numerics,
    of whose records those of `part` are judged, and those that training may use give the texture between charted hours.

    Raises `InvalidInput` for a folder without them.
    """
    real, records = real_minutes(minutes)
    teaching = members(records, Part.TRAIN)
    if not teaching.any():
        raise InvalidInput("minutes", f"holds no record of the part {Part.TRAIN}")
    grain = texture(real[teaching], hourly_change(*hours_of(recording)))
    chosen = real if part == "all" else real[members(records, Part(part))]
    found = {}
    for name, folder in folders.items():
        bundle = load_bundle(folder)
        draw = np.random.default_rng([seed, 24])
        on = [ground for ground in grounds(recording, grain, chosen, bundle.manifest, draw) if len(ground.minutes)]
        found[name] = judge(bundle, open_backend(bundle).run, on, draws=draws, seed=seed, say=say)
    return found
