"""A bundle: one trained model as a folder of plain files, complete and checkable. No pickle, ever.

    NAME/VERSION/
      manifest.json      what the model is: inputs in order, scaling, horizons, calibration, thresholds, training, metrics
      manifest.sha256    digest of manifest.json, as `sha256sum --check` reads it
      model.onnx         the model that is served, weights inline
      card.md            for people
      weights.*          native weights of the framework (`NATIVE`), where a native back end is offered

The manifest names the SHA-256 of every other file; a file that is missing, damaged, or not named is refused. The digest
of the manifest stands for the whole bundle: the registry keeps it, so a bundle that was swapped under its name is refused.

How the graph is called, by `kind` (all float32, the first dimension is free):

    classifier, trees   `input` [rows, F] (table) or [rows, 24, C] (sequence) -> `logits` [rows, horizons]
    ensemble            `input` [rows, members] (members), the logits of their probabilities, NaN = absent -> `logits`
    forecaster          `input` [rows, F] (step), `state` [rows, S]
                        -> `mean`, `scale` [rows, steps ahead, M], `next_state` [rows, S]

Inputs are (value - centre) / spread, clipped to `clip` spreads where one is given. What is missing is NaN (`missing` =
"nan") or 0 with a mask (1: there, 0: missing) behind all values, twice as many columns ("mask"). A forecaster's inputs are
called as the vitals are, and a new patient's state is 0. Those of an ensemble are called as the models it is made of; its
graph is all it has, so it has no framework but ONNX.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from contracts.errors import InvalidInput, UnsupportedVersion
from contracts.vitals import BY_NAME

FORMAT: Final = "vigil-bundle/1"
MANIFEST: Final = "manifest.json"
MANIFEST_DIGEST: Final = "manifest.sha256"
ONNX: Final = "model.onnx"
CARD: Final = "card.md"
NATIVE: Final = {"pytorch": "weights.safetensors", "tensorflow": "model.weights.h5", "lightgbm": "model.txt"}
MAX_FILES: Final = 32
MAX_BYTES: Final = 256 * 1024 * 1024

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,80}")
_DIGEST: Final = r"^[0-9a-f]{64}$"
# Formats that run code when they are read: refused even with a right digest.
_CODE: Final = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".npz", ".keras", ".h5py", ".py", ".so")

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Version = Annotated[str, Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6}){0,2}$")]
Digest = Annotated[str, Field(pattern=_DIGEST)]
Text = Annotated[str, Field(max_length=2000)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Input(_Part):
    """One column of the input: a name of the feature set (a feature, or a channel of the sequence), and its scaling.

    `metrics`: the vitals that the column is made of, empty for context such as age; an explanation leaves out one vital
    by leaving out its columns.
    """

    name: Annotated[str, Field(min_length=1, max_length=80)]
    centre: Finite = 0.0
    spread: Positive = 1.0
    metrics: tuple[str, ...] = ()

    @field_validator("metrics")
    @classmethod
    def _known(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        for metric in metrics:
            if metric not in BY_NAME:
                raise ValueError(f"holds {metric[:40]!r}, which is not in the vitals catalogue")
        return metrics


class Calibration(_Part):
    """Platt: probability = 1 / (1 + exp(-(slope * logit + intercept)))."""

    slope: Positive = 1.0
    intercept: Finite = 0.0


class Training(_Part):
    """Where the model comes from: enough to make it again, and to know whether one may use it."""

    data: Text
    licence: Text
    citation: Text
    patients: Annotated[int, Field(ge=1)]
    rows: Annotated[int, Field(ge=1)]
    rows_sha256: Digest
    seed: int
    command: Text


class Forecast(_Part):
    """What a forecaster says: for each of `metrics`, how it is distributed `steps_ahead` steps later, in scaled units.

    `degrees_of_freedom` None: normal, otherwise Student's t. `state`: width of the carried state. `warm_steps`: steps of a
    patient before a score is given.
    """

    metrics: Annotated[tuple[str, ...], Field(min_length=1)]
    step_s: Positive = 60.0
    steps_ahead: Annotated[tuple[Annotated[int, Field(ge=1, le=240)], ...], Field(min_length=1)]
    state: Annotated[int, Field(ge=1, le=4096)]
    degrees_of_freedom: Positive | None = None
    warm_steps: Annotated[int, Field(ge=1)] = 10

    @field_validator("metrics")
    @classmethod
    def _known(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [m for m in metrics if m not in BY_NAME]:
            raise ValueError(f"holds {unknown[0][:40]!r}, which is not in the vitals catalogue")
        if len(set(metrics)) != len(metrics):
            raise ValueError("names the same metric twice")
        return metrics


class Manifest(_Part):
    """What a bundle says of itself. See the module for the shapes.

    `score_horizon_h`: the horizon whose calibrated probability is the score. `thresholds`: alarms per patient-day, as text
    ("0.25"), to the score at which that many alarms came on validation patients. `coverage`: the share of the model's vitals
    that must have a fresh value for a score to be given; `ready_minutes`: minutes of a patient before that. `architecture`:
    what a native back end needs to build the net again; of an ensemble, the version of each member. `files`: written by
    `write_bundle`.
    """

    format: Literal["vigil-bundle/1"] = "vigil-bundle/1"
    name: Name
    version: Version
    kind: Literal["classifier", "forecaster", "trees", "ensemble"]
    framework: Literal["pytorch", "tensorflow", "lightgbm", "onnx"]
    summary: Text = ""
    feature_set: Annotated[str, Field(pattern=r"^[a-z_]+/[0-9]+$")]
    input: Literal["table", "sequence", "step", "members"]
    inputs: Annotated[tuple[Input, ...], Field(min_length=1, max_length=4096)]
    steps: Annotated[int, Field(ge=1, le=1000)] = 1
    missing: Literal["nan", "mask"] = "nan"
    clip: Positive | None = None
    coverage: Annotated[float, Field(ge=0, le=1)] = 0.3
    ready_minutes: Annotated[int, Field(ge=1, le=1440)] = 5
    horizons_h: tuple[Positive, ...] = ()
    score_horizon_h: Positive | None = None
    calibration: tuple[Calibration, ...] = ()
    forecast: Forecast | None = None
    thresholds: Mapping[str, Finite] = Field(default_factory=dict)
    architecture: Mapping[str, int | float | str | bool | list[int]] = Field(default_factory=dict)
    training: Training
    metrics: Mapping[str, Finite] = Field(default_factory=dict)
    files: Mapping[str, Digest] = Field(default_factory=dict)

    @property
    def width(self) -> int:
        """Columns of the graph's input."""
        return len(self.inputs) * (2 if self.missing == "mask" else 1)

    @property
    def score_column(self) -> int:
        """Which of the horizons is the score."""
        assert self.score_horizon_h is not None, "checked by the manifest of a classifier"
        return self.horizons_h.index(self.score_horizon_h)

    @property
    def vitals(self) -> tuple[str, ...]:
        """The vitals that the model looks at, in catalogue order."""
        used = {metric for column in self.inputs for metric in column.metrics}
        return tuple(name for name in BY_NAME if name in used)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [column.name for column in self.inputs]
        if len(set(names)) != len(names):
            raise ValueError("inputs holds a name twice")
        if not self.vitals:
            raise ValueError("inputs must say of which metrics they are made")
        if (self.kind == "forecaster") != (self.input == "step"):
            raise ValueError("input must be step for a forecaster, and for nothing else")
        if (self.kind == "trees") != (self.framework == "lightgbm"):
            raise ValueError("framework must be lightgbm for trees, and for nothing else")
        if len({self.kind == "ensemble", self.framework == "onnx", self.input == "members"}) != 1:
            raise ValueError("input must be members and framework onnx for an ensemble, and for nothing else")
        if self.input != "sequence" and self.steps != 1:
            raise ValueError("steps must be 1 unless the input is a sequence")
        for budget in self.thresholds:
            if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", budget):
                raise ValueError("thresholds must be keyed by alarms per patient-day, such as 0.25")
        if self.kind == "forecaster":
            if self.forecast is None or self.horizons_h or self.calibration:
                raise ValueError("forecast must be given for a forecaster, horizons_h and calibration not")
            if not set(self.forecast.metrics) <= set(names):
                raise ValueError("forecast.metrics must be inputs too, so that what came is compared with what was said")
            return self
        if self.forecast is not None:
            raise ValueError("forecast is for forecasters only")
        if not self.horizons_h or len(self.calibration) != len(self.horizons_h):
            raise ValueError("calibration must hold one entry for each of horizons_h")
        if self.score_horizon_h not in self.horizons_h:
            raise ValueError("score_horizon_h must be one of horizons_h")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle whose every byte was checked. `digest`: SHA-256 of its manifest, which stands for the whole."""

    manifest: Manifest = field(repr=False)
    digest: str
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def label(self) -> str:
        """For people and logs: `deterioration_keras_conv 1.2`."""
        return f"{self.manifest.name} {self.manifest.version}"


def write_bundle(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """Write a bundle to `folder`, which must not exist, all of it or nothing; `files` by name, without the manifest.

    Raises `InvalidInput` for what `load_bundle` would refuse.
    """
    if folder.exists():
        raise InvalidInput("folder", "exists already: a version of a model never changes, take the next one")
    named = manifest.model_copy(update={"files": {name: _digest(files[name]) for name in sorted(files)}})
    text = _canonical(named)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, content in files.items():
            _check_name(name)
            (staging / name).write_bytes(content)
        (staging / MANIFEST).write_bytes(text)
        (staging / MANIFEST_DIGEST).write_text(_digest_line(text), encoding="ascii")
        bundle = load_bundle(staging)
        staging.chmod(0o755)
        os.replace(staging, folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return bundle


def load_bundle(folder: Path, *, digest: str | None = None) -> Bundle:
    """Read a bundle and check every byte of it. `digest`: refuse any other bundle than this one.

    Raises `InvalidInput` whose field is the file or the entry of the manifest at fault (`folder` when there is none).
    Whether the graph fits the manifest is found out by who opens it (`serving`).
    """
    if not folder.is_dir():
        raise InvalidInput("folder", "there is no such folder")
    text = _read(folder, MANIFEST)
    if _read(folder, MANIFEST_DIGEST) != _digest_line(text).encode():
        raise InvalidInput(MANIFEST, f"is not the file that {MANIFEST_DIGEST} names: it was changed or damaged")
    found = _digest(text)
    if digest is not None and found != digest:
        raise InvalidInput(MANIFEST, "is not the one that was registered: the bundle was swapped under its name")
    manifest = parse_manifest(text)
    entries = {entry.name for entry in folder.iterdir()} - {MANIFEST, MANIFEST_DIGEST}
    if unnamed := sorted(entries - set(manifest.files)):
        raise InvalidInput(unnamed[0][:80], "is in the folder, but not in the manifest")
    files: dict[str, bytes] = {}
    for name, wanted in manifest.files.items():
        content = _read(folder, name)
        if _digest(content) != wanted:
            raise InvalidInput(name, "does not have the SHA-256 of the manifest: it was changed or damaged")
        files[name] = content
    return Bundle(manifest=manifest, digest=found, files=files)


def parse_manifest(text: bytes) -> Manifest:
    """A manifest from its JSON. Raises `InvalidInput` naming the entry at fault, `UnsupportedVersion` for a newer format."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(MANIFEST, "is not valid JSON") from error
    _check_format(document)
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidInput(f"{MANIFEST} {place}".strip(), reason) from error
    _check_files(manifest)
    return manifest


def _check_format(document: Any) -> None:
    found = document.get("format") if isinstance(document, dict) else None
    name, _, major = str(found).partition("/")
    if name != FORMAT.partition("/")[0] or not (major.isascii() and major.isdecimal()):
        raise InvalidInput(f"{MANIFEST} format", f"must be {FORMAT}")
    if int(major) > 1:
        raise UnsupportedVersion(f"{MANIFEST} format", f"is newer than {FORMAT}, which this release reads: upgrade it first")


def _check_files(manifest: Manifest) -> None:
    if len(manifest.files) > MAX_FILES:
        raise InvalidInput(f"{MANIFEST} files", f"names more than {MAX_FILES} files")
    for name in (ONNX, CARD):
        if name not in manifest.files:
            raise InvalidInput(f"{MANIFEST} files", f"does not name {name}, which every bundle has")
    for name in manifest.files:
        _check_name(name)


def _check_name(name: str) -> None:
    if not _FILE_NAME.fullmatch(name) or name in (MANIFEST, MANIFEST_DIGEST):
        raise InvalidInput(f"{MANIFEST} files", "must hold plain file names")
    if name.lower().endswith(_CODE):
        raise InvalidInput(name, "is of a format that can run code when it is read")


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise InvalidInput(name, "is missing from the bundle")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(name, f"is larger than {MAX_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(name, "cannot be read") from error


def _canonical(manifest: Manifest) -> bytes:
    document = manifest.model_dump(mode="json", exclude_none=True)
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_line(text: bytes) -> str:
    return f"{_digest(text)}  {MANIFEST}\n"
