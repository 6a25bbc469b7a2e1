"""What can be evaluated, by name: each takes a recording and gives a score at every one of its moments."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput, VigilError
from inference.bundles import Bundle, load_bundle
from inference.datasets.recording import Recording
from inference.datasets.replay import feature_table
from inference.datasets.split import Part, folds, members
from inference.detectors.news2 import CHARTED, News2
from inference.detectors.pca_residual import INPUTS, Directions, PcaResidual, fit
from inference.detectors.personal_baseline import HOURLY, PersonalBaseline
from inference.evaluate.frames import stream_scores
from inference.evaluate.replayed import Replayed
from inference.features import DAY, FEATURE_SETS, FEATURES, METRICS, PRESENCE, STAY
from inference.serving.classifier import Classifier
from inference.serving.folders import SHIPPED
from inference.serving.members import columns
from inference.serving.opening import open_backend

Doubles = npt.NDArray[np.float64]
Say = Callable[[str], None]
Logits = Callable[[npt.NDArray[np.float32]], Doubles]

_AT_ONCE: Final = 1 << 15  # rows scaled at a time

VARIANTS: Final = ("device", "stream", "vitals", "context", "all")
"""Inputs of the trees that are trained in folds: `hours/2` without when and how often staff measured (`PRESENCE`); the feature
set `hours/1`, which looks back 24 hours; `hours/2`, which knows the whole stay too; with age, sex, unit and the hour of the stay;
with everything else that was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """`score`: of each moment, NaN = none. `probability`: whether the score claims to be one. `note`: how it came about."""

    score: Doubles
    probability: bool = False
    note: str = ""


Score = Callable[[Recording], Scored]


def random(seed: int) -> Score:
    """A number drawn for each hour: what any score must beat."""
    return lambda recording: Scored(score=np.random.default_rng(seed).random(len(recording.moments)))


def news2(recording: Recording) -> Scored:
    """The lower bound of NEWS2 with ages for charted values."""
    return Scored(
        score=stream_scores(recording, News2(CHARTED)), note="lower bound; parts that were not charted are missing"
    )


def personal_baseline(recording: Recording) -> Scored:
    """Distance from the patient's own usual, with a policy for hourly values."""
    return Scored(score=stream_scores(recording, PersonalBaseline(HOURLY)))


def pca_residual(count: int) -> Score:
    """Directions of each fold from the patients of the others, learnt from the first recording that is given."""
    learnt: list[Directions] = []

    def score(recording: Recording) -> Scored:
        fold = folds(recording.patients, count)
        if not learnt:
            levels = feature_table(recording)[:, [FEATURES.index(f"{metric}.level") for metric in INPUTS]]
            learnt.extend(fit(levels[fold[recording.moments.patient] != k]) for k in range(count))
        found = np.full(len(recording.moments), np.nan)
        for k in range(count):
            mine = fold[recording.moments.patient] == k
            if mine.any():
                found[mine] = stream_scores(recording.of_patients(fold == k), PcaResidual(learnt[k]))
        return Scored(score=found, note=f"directions from the other {count - 1} of {count} folds")

    return score


def lightgbm(variant: str, count: int, seed: int, bags: int, threads: int, say: Say) -> Score:
    """Trees trained on the other folds, patient by patient: nobody is scored by a model that has seen them. They are trained on
    the first recording that is given; the same patients given again, with damage, are scored by the same trees."""
    if variant not in VARIANTS:
        raise InvalidInput("inputs", f"must be one of {', '.join(VARIANTS)}")
    learnt: list[Logits] = []

    def score(recording: Recording) -> Scored:
        table = _table(recording, variant)
        fold = folds(recording.patients, count)[recording.moments.patient]
        if not learnt:
            learnt.extend(
                _learn(recording, table, fold != k, seed, bags, threads, say, f"fold {k + 1} of {count}")
                for k in range(count)
            )
        found = np.full(len(recording.moments), np.nan)
        for k, logits in enumerate(learnt):
            found[fold == k] = 1 / (1 + np.exp(-logits(table[fold == k])))
        return Scored(
            score=found, probability=True, note=f"trained in {count} folds by patient on {table.shape[1]} features"
        )

    return score


def lightgbm_of(teacher: Recording, variant: str, seed: int, bags: int, threads: int, say: Say) -> Score:
    """Trees trained on another recording of the same metrics, to be judged on patients it does not hold."""
    learnt: list[Logits] = []

    def score(recording: Recording) -> Scored:
        if not learnt:
            everybody = np.ones(len(teacher.moments), dtype=np.bool_)
            learnt.append(_learn(teacher, _table(teacher, variant), everybody, seed, bags, threads, say, teacher.name))
        found = 1 / (1 + np.exp(-learnt[0](_table(recording, variant))))
        return Scored(score=found, probability=True, note=f"trained on {len(teacher.patients)} other patients")

    return score


def _learn(
    recording: Recording,
    table: npt.NDArray[np.float32],
    rows: npt.NDArray[np.bool_],
    seed: int,
    bags: int,
    threads: int,
    say: Say,
    called: str,
) -> Logits:
    """Trees of the chosen rows: the mean of `bags` models that differ in their seed."""
    moments, models = recording.moments, []
    for bag in range(bags):
        model, metrics = _trees().train(
            table[rows],
            moments.label[rows],
            moments.patient[rows],
            seed + bag,
            recipe=_recipe(recording),
            threads=threads,
        )
        models.append(model)
        say(f"{called}: {metrics.rounds} rounds, AUROC {metrics.auroc:.3f} on patients held back")
    return lambda table: np.mean([model.logits(table) for model in models], axis=0)


def bundle(folder: Path, *, native: bool = False, replayed: Replayed | None = None) -> Score:
    """A trained classifier from its folder, at every moment at which it has any vital. `replayed`: shared by the models that are
    judged together."""
    found = load_bundle(folder)
    if found.manifest.kind == "ensemble":
        return _ensemble(folder, found, native, replayed or Replayed())
    if found.manifest.kind == "forecaster":
        raise VigilError(
            f"{found.manifest.name} is a forecaster, which says what comes next and not who gets ill.",
            fix="vigil evaluate judges its forecasts",
        )
    backend, model = open_backend(found, "native" if native else "onnx"), Classifier(found.manifest)
    replayed = replayed or Replayed()

    def score(recording: Recording) -> Scored:
        features = replayed.features(recording, found.manifest)
        scores = np.full(len(recording.moments), np.nan)
        some = np.flatnonzero(replayed.known(recording, found.manifest))
        for start in range(0, len(some), _AT_ONCE):
            at = some[start : start + _AT_ONCE]
            scores[at] = model.score(backend.run, features[at])
        return Scored(score=scores, probability=True, note=f"bundle {found.label}, manifest {found.digest[:12]}")

    return score


def _ensemble(folder: Path, found: Bundle, native: bool, replayed: Replayed) -> Score:
    """Of the members that it was calibrated with: beside it, or as they ship."""
    manifest = found.manifest
    members: dict[str, Score] = {}
    for column in manifest.inputs:
        place = Path(column.name) / str(manifest.architecture[column.name])
        beside = folder.resolve().parents[1] / place
        members[column.name] = bundle(
            beside if beside.is_dir() else SHIPPED / place, native=native, replayed=replayed
        )
    backend, model = open_backend(found), Classifier(manifest)

    def score(recording: Recording) -> Scored:
        said = {name: member(recording).score for name, member in members.items()}
        table = columns(manifest, said, (len(recording.moments),))
        scores = np.full(len(table), np.nan)
        some = np.flatnonzero(~np.isnan(table).all(axis=1))
        if len(some):
            scores[some] = model.score(backend.run, table[some])
        return Scored(score=scores, probability=True, note=f"bundle {found.label}, manifest {found.digest[:12]}")

    return score


def saw(folder: Path, recording: Recording) -> bool:
    """Whether the bundle was trained on this very recording, so that only its locked patients are new to it: the data set has
    the same name and the same number of patients to train on. On part of it, say which patients to take. A forecaster, which has
    learnt of records of minutes too, counts as one that saw every recording of the name."""
    manifest = load_bundle(folder).manifest
    training = manifest.training
    train = int(members(recording.patients, Part.TRAIN).sum())
    both = train + int(members(recording.patients, Part.VALIDATION).sum())
    same = training.patients in (train, both) or manifest.kind == "forecaster"
    return training.data.startswith(recording.name) and same


def _table(recording: Recording, variant: str) -> npt.NDArray[np.float32]:
    from inference.train.organs import organs_table
    from inference.train.series import context_table, series_table
    from inference.train.spans import spans_table

    parts = [feature_table(recording, DAY if variant == "stream" else STAY)]
    if variant == "device":
        return parts[0][:, [name not in PRESENCE for name in FEATURE_SETS[STAY]]]
    vitals = [m for m in recording.metrics if m in METRICS]
    if variant in ("context", "all"):
        parts.append(context_table(recording)[1])
        parts.append(series_table(recording, vitals, ("first", "std", "count", "count_12h"))[1])
    if variant == "all":
        parts.append(series_table(recording, [m for m in recording.metrics if m not in METRICS])[1])
        if recording.by_hour:
            parts.append(organs_table(recording)[1])
        else:  # where a patient is scored once there is no clock to hide: the course counts too
            parts.append(series_table(recording, vitals)[1])
            parts.append(spans_table(recording, recording.metrics)[1])
    return np.concatenate(parts, axis=1)


def _recipe(recording: Recording) -> Any:
    """Beside the trainer; where patients are scored once there is another."""
    trees = _trees()
    return trees.read_recipe() if recording.by_hour else trees.read_recipe(trees.ONCE)


def _trees() -> ModuleType:
    try:
        return importlib.import_module("inference.train.lightgbm_trees")
    except ModuleNotFoundError as error:
        raise VigilError(
            f"Trees cannot be trained: there is no module {error.name}.",
            cause="the packages for training are not installed",
            fix="uv sync --extra train",
        ) from error
