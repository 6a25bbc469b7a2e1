"""What a model said of validation patients before they taught it, kept beside the bundle: an ensemble is calibrated on it.

It lies in `OUT/validation/NAME-VERSION.safetensors`, not in the bundle: it is of patients, one row each hour.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from contracts.errors import InvalidInput
from inference.bundles import load_bundle
from inference.datasets.recording import Recording
from inference.datasets.split import Part, members
from inference.features import CHANNELS, FEATURE_SETS
from inference.manifest import Calibration, Manifest
from inference.serving.backend import in_blocks
from inference.serving.inputs import Inputs
from inference.serving.opening import open_backend
from inference.train.examples import HORIZONS_H, Examples, examples

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Columns of equal length. `logit`: of the calibrated probability at the horizon of the score. `happened`: 0 or 1.
    `event_ms`: of the patient of the row, `NEVER_MS` without an event."""

    logit: Floats
    happened: Floats
    patient: npt.NDArray[np.int32]
    time_ms: npt.NDArray[np.int64]
    event_ms: npt.NDArray[np.int64]

    def same_rows(self, other: HeldOut) -> bool:
        """Whether both are of the same patients at the same times."""
        return (
            np.array_equal(self.patient, other.patient)
            and np.array_equal(self.time_ms, other.time_ms)
            and np.array_equal(self.happened, other.happened)
            and np.array_equal(self.event_ms, other.event_ms)
        )


def of(logits: npt.NDArray[np.floating], calibration: Calibration, rows: Examples, horizon: int) -> HeldOut:
    """From raw logits of one horizon, shape (rows,); `horizon` is its place in the targets."""
    return HeldOut(
        logit=(calibration.slope * logits.astype(np.float64) + calibration.intercept).astype(np.float32),
        happened=np.ascontiguousarray(rows.targets[:, horizon]),
        patient=rows.patient,
        time_ms=rows.time_ms,
        event_ms=rows.event_ms,
    )


def save(folder: Path, found: HeldOut) -> None:
    """Keep it beside the bundle in `folder`."""
    path = _path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {field.name: getattr(found, field.name) for field in fields(HeldOut)}
    save_file({name: np.ascontiguousarray(column) for name, column in columns.items()}, path)


def load(folder: Path) -> HeldOut:
    """Of the bundle in `folder`. Raises `InvalidInput` when it was not kept or is damaged."""
    path = _path(folder)
    if not path.is_file():
        raise InvalidInput("members", f"{path.stem} has not kept what it said of validation patients: train it here")
    try:
        return HeldOut(**load_file(path))
    except (SafetensorError, TypeError, ValueError) as error:
        raise InvalidInput("members", f"{path.name} is damaged: train the model again") from error


def kept(folder: Path) -> bool:
    """Whether there is something to load."""
    return _path(folder).is_file()


def ask(folder: Path, recording: Recording) -> bool:
    """Ask the bundle in `folder` now and keep what it says, when validation patients have not taught it. Whether that was so."""
    bundle = load_bundle(folder)
    manifest = bundle.manifest
    checked = members(recording.patients, Part.VALIDATION)
    training = manifest.training
    if not training.data.startswith(recording.name) or training.patients != members(recording.patients, Part.TRAIN).sum():
        return False
    allowed = recording.of_patients(checked | members(recording.patients, Part.TRAIN))
    rows = examples(allowed, "sequence") if manifest.input == "sequence" else examples(allowed, "table")
    rows = rows.take(members(allowed.patients, Part.VALIDATION)[rows.patient])
    have = {name: k for k, name in enumerate(rows.columns)}
    features = rows.inputs[..., [have[name] for name in _columns(manifest)]]
    answer = in_blocks(open_backend(bundle).run, {"input": Inputs(manifest).array(features)})["logits"]
    column = manifest.score_column
    horizon = HORIZONS_H.index(manifest.horizons_h[column])
    save(folder, of(answer[:, column], manifest.calibration[column], rows, horizon))
    return True


def _columns(manifest: Manifest) -> tuple[str, ...]:
    return FEATURE_SETS[manifest.feature_set] if manifest.input == "table" else CHANNELS


def _path(folder: Path) -> Path:
    return folder.parents[1] / "validation" / f"{folder.parent.name}-{folder.name}.safetensors"
