"""What a bundle says of its model: inputs in order, scaling, horizons, calibration, thresholds, training, metrics.

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

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from contracts.vitals import BY_NAME

_DIGEST: Final = r"^[0-9a-f]{64}$"

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
    ("0.25"), to the score at which that many alarms came on validation patients. `finding`: for each alarm policy of
    `vigil backtest --equal`, by share of the events ("0.85"), the score at which that share was found on validation patients,
    by the first fit, which they had not taught. `coverage`: the share of the model's vitals
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
    finding: Mapping[str, Mapping[str, Finite]] = Field(default_factory=dict)
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
        for shares in self.finding.values():
            if not all(re.fullmatch(r"0\.[0-9]{1,4}", share) for share in shares):
                raise ValueError("finding must be keyed by a share of the events, such as 0.85")
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
