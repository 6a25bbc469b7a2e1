"""What one bundle says of the patients of a minute: features, score, status, and where the score comes from. Pure, but for the
failures of the models themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from contracts.frames import Labels
from contracts.scores import STATUSES, Status
from contracts.windows import SHORT_MS
from inference.features import HourFeatures
from inference.serving import members
from inference.serving.backend import Floats, ModelFailed
from inference.serving.classifier import Classifier, Explained, fresh
from inference.serving.forecaster import Forecaster
from inference.serving.inputs import places_of
from inference.serving.lineup import Loaded

Index = npt.NDArray[np.intp]

OK, NOT_READY, INSUFFICIENT, FAILED = (
    STATUSES.index(s) for s in (Status.OK, Status.NOT_READY, Status.INSUFFICIENT, Status.FAILED)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """The patients with a window that ends at `end_ms`. `values`: shape (rows, metrics), NaN = missing."""

    end_ms: int
    patient: Labels
    slots: Index
    minutes: npt.NDArray[np.int32]
    values: Floats

    @property
    def times(self) -> npt.NDArray[np.int64]:
        return np.full(len(self.slots), self.end_ms, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Worked:
    """What was worked out for a minute already: features by kind, and what models said of its rows, by name."""

    tables: dict[str, Floats] = field(default_factory=dict)
    said: dict[str, members.Said] = field(default_factory=dict)


@dataclass(slots=True)
class Answer:
    """What one bundle says about the rows of a minute; NaN where it says nothing valid. `known`: share of its vitals that are
    fresh. `asked`: its graph was run. `unexplained`: why it could not say where its scores come from."""

    score: Floats
    status: npt.NDArray[np.uint8]
    contribution: dict[str, Floats]
    known: Floats | None = None
    asked: bool = True
    unexplained: str = ""


def answer(
    loaded: Loaded, minute: Minute, worked: Worked, hours: HourFeatures, forecaster: Forecaster | None = None
) -> Answer:
    """What `loaded` says. `forecaster`: its carried state, where it is one. Raises `ModelFailed`."""
    manifest = loaded.bundle.manifest
    vitals = places_of(manifest.vitals)
    there = fresh(hours, minute.slots, minute.times, vitals)
    enough = there >= max(1, math.ceil(manifest.coverage * len(vitals)))
    known = (there / np.float32(len(vitals))).astype(np.float32)
    if loaded.classifier is None:
        assert forecaster is not None, "a forecaster has a state"
        return _surprise(loaded, forecaster, minute, enough, known)
    ready = minute.minutes >= manifest.ready_minutes
    status = np.where(~enough, INSUFFICIENT, np.where(ready, OK, NOT_READY)).astype(np.uint8)
    score = np.full(len(status), np.nan, dtype=np.float32)
    if not (status == OK).any():
        return Answer(score=score, status=status, contribution={}, known=known, asked=False)
    table = _table(loaded, loaded.classifier, minute, worked, hours)
    if manifest.kind == "ensemble":
        if not any(column.name in worked.said for column in manifest.inputs):
            raise ModelFailed("has no member that answers")
        status[np.isnan(table).all(axis=1) & (status == OK)] = NOT_READY
    ok = np.flatnonzero(status == OK)
    if not len(ok):
        return Answer(score=score, status=status, contribution={}, known=known, asked=False)
    score[ok] = loaded.classifier.score(loaded.runner.run, table[ok])
    _judge(loaded, score, status, ok)
    found = Answer(score=score, status=status, contribution={}, known=known)
    high = np.flatnonzero((status == OK) & (score >= lowest(loaded)))
    if len(high):
        try:
            explained = _explain(loaded, loaded.classifier, minute, high, score[high], worked, hours)
        except ModelFailed as error:  # a score without its reasons is worth more than none
            found.unexplained = str(error)
            return found
        for metric, part in explained.contribution.items():
            found.contribution[metric] = np.zeros(len(status), dtype=np.float32)
            found.contribution[metric][high] = part
    return found


def _table(loaded: Loaded, model: Classifier, minute: Minute, worked: Worked, hours: HourFeatures) -> Floats:
    """What the model looks at, of every row of the minute."""
    manifest = loaded.bundle.manifest
    if manifest.kind == "ensemble":
        said = {name: each.score for name, each in worked.said.items()}
        return members.columns(manifest, said, (len(minute.slots),))
    kind = manifest.feature_set if manifest.input == "table" else manifest.input  # a sequence is the same in all
    if kind not in worked.tables:
        worked.tables[kind] = model.features(hours, minute.slots, minute.times)
    return worked.tables[kind]


def _explain(
    loaded: Loaded,
    model: Classifier,
    minute: Minute,
    high: Index,
    score: Floats,
    worked: Worked,
    hours: HourFeatures,
) -> Explained:
    """Why the rows `high` have their scores."""
    run, slots, times = loaded.runner.run, minute.slots[high], minute.times[high]
    if loaded.bundle.manifest.kind == "ensemble":
        return members.explain(model, run, worked.said, hours, slots, times, high, score)
    return model.explain(run, hours, slots, times, score)


def _surprise(
    loaded: Loaded, forecaster: Forecaster, minute: Minute, enough: npt.NDArray[np.bool_], known: Floats
) -> Answer:
    manifest = loaded.bundle.manifest
    assert manifest.forecast is not None, "checked by the manifest of a forecaster"
    number = minute.end_ms // SHORT_MS
    found = forecaster.step(loaded.runner.run, minute.slots, number, minute.values)
    ready = (found.steps >= manifest.forecast.warm_steps) & ~np.isnan(found.parts).all(axis=0)
    if not found.valid.any():
        raise loaded.runner.failed("gave answers that are no numbers")
    status = np.where(~enough, INSUFFICIENT, np.where(ready, OK, NOT_READY)).astype(np.uint8)
    status[~found.valid] = FAILED
    ok = status == OK
    parts = np.where(ok[None], np.nan_to_num(found.parts, nan=0.0), np.float32(0)).astype(np.float32)
    total = np.zeros(len(status), dtype=np.float32)
    for part in parts:  # one after the other: a library's blocked sum may round by who stands beside whom
        total += part
    score = np.where(ok, total, np.float32(np.nan)).astype(np.float32)
    _judge(loaded, score, status, np.flatnonzero(ok))
    contribution = dict(zip(manifest.forecast.metrics, parts, strict=True))
    return Answer(score=score, status=status, contribution=contribution, known=known)


def lowest(loaded: Loaded) -> float:
    """The lowest score that the bundle calls an alarm; without one nothing is explained."""
    return min(loaded.bundle.manifest.thresholds.values(), default=math.inf)


def _judge(loaded: Loaded, score: Floats, status: npt.NDArray[np.uint8], ok: Index) -> None:
    """Mark rows without a valid answer, and let the guard know. Raises `ModelFailed` when there is no valid answer at all."""
    bad = ok[~np.isfinite(score[ok])]
    if len(bad) and len(bad) == len(ok):
        raise loaded.runner.failed("gave answers that are no numbers")
    status[bad], score[bad] = FAILED, np.nan
    if not len(bad):
        loaded.runner.worked()
