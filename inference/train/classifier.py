"""From a recording to the bundle of a classifier: rows, scaling, training, calibration, thresholds, export, card.

A first fit on training patients is stopped early, calibrated and given its thresholds on validation patients. The weights that
ship are fitted once more, on both, for as many epochs, and keep that calibration: nobody is left who could calibrate them
better. The last fifth of the patients is never touched (`inference.datasets.split`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from inference.bundles import Bundle, write_bundle
from inference.datasets.recording import Recording
from inference.datasets.split import Part, members, share
from inference.evaluate.ranking import auprc, auroc
from inference.features import FEATURE_SET, HOURS
from inference.manifest import Calibration, Input, Manifest, Training
from inference.nets import NETS, Floats, Learner, Loss, Plan, load, native
from inference.train import held_out, loop
from inference.train.calibration import platt, probability
from inference.train.card import classifier_card
from inference.train.examples import HORIZONS_H, Examples, examples
from inference.train.graphs import hold, opened
from inference.train.recipe import Recipe
from inference.train.scaling import CLIP, Scaling, edges, robust
from inference.train.thresholds import for_budgets, for_shares
from inference.train.vitals_of import membership, vitals_of

Say = Callable[[str], None]
SCORE_HORIZON_H: Final = 6.0
_SMOKE_SHARE: Final = 0.08  # of the patients
_SMOKE_EPOCHS: Final = 2
_PARITY_ROWS: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a classifier is trained on: scaled rows of training and of validation patients. `scaling` None: the feature set
    scales already."""

    training: loop.Rows
    validation: loop.Rows
    checked: Examples  # the validation rows
    scaling: Scaling | None
    columns: tuple[str, ...]
    patients: int
    everybody: int  # training and validation patients
    rows_sha256: str  # of the rows of everybody

    @property
    def all(self) -> loop.Rows:
        """Rows of training and of validation patients, a copy."""
        return loop.Rows(
            inputs=np.concatenate([self.training.inputs, self.validation.inputs]),
            targets=np.concatenate([self.training.targets, self.validation.targets]),
        )


def thinned(recording: Recording, smoke: bool) -> Recording:
    """The patients that training may see: without the locked ones, and for a smoke run only some of them."""
    allowed = ~members(recording.patients, Part.LOCKED)
    if smoke:
        allowed &= (share(recording.patients) * 1_000) % 1 < _SMOKE_SHARE
    return recording.of_patients(allowed)


def material(recording: Recording, net: str) -> Material:
    """Rows for `net` of a recording from which locked patients were taken out. Raises `InvalidInput` when a part has no event."""
    kind = NETS[net].input
    if kind == "step":
        raise InvalidInput("net", f"{net} is a forecaster")
    rows = examples(recording, kind)
    in_training = members(recording.patients, Part.TRAIN)
    training, checked = rows.take(in_training[rows.patient]), rows.take(~in_training[rows.patient])
    for part, some in (("training", training), ("validation", checked)):
        if not len(some) or not (some.targets > 0).any() or (some.targets > 0).all():
            raise InvalidInput("data", f"the {part} patients need both rows with an event and rows without one")
    scaling = robust(training.inputs) if kind == "table" else None
    apply: Callable[[Floats], Floats] = scaling.apply if scaling is not None else lambda inputs: inputs
    return Material(
        training=loop.Rows(inputs=apply(training.inputs), targets=training.targets),
        validation=loop.Rows(inputs=apply(checked.inputs), targets=checked.targets),
        checked=checked,
        scaling=scaling,
        columns=rows.columns,
        patients=int(in_training.sum()),
        everybody=len(recording.patients),
        rows_sha256=rows.sha256(),
    )


def plan(net: str, recipe: Recipe, of: Material, seed: int) -> Plan:
    """The architecture of `net` for these rows, with the quantiles that its curves run between."""
    architecture: dict[str, int | float | str | bool | list[int]] = {
        "net": net,
        "columns": len(of.columns),
        "horizons": of.training.targets.shape[1],
        **recipe.architecture,
    }
    values = of.training.inputs
    if NETS[net].input == "sequence":
        architecture["steps"] = HOURS
        count = len(of.columns) // 3
        values = np.where(values[..., count : 2 * count] > 0, values[..., :count], np.float32(np.nan))
    return Plan(
        architecture=architecture,
        edges=edges(values, int(recipe.architecture["bins"])),
        loss=Loss(positive_weight=recipe.fit.positive_weight, focal=recipe.fit.focal),
        weight_decay=recipe.fit.weight_decay,
        seed=seed,
    )


def fitted(
    net: str, recipe: Recipe, of: Material, *, seed: int, keep: Path | None, resume: bool, say: Say
) -> tuple[Learner, Plan, loop.Fitted]:
    """A trained learner at its best epoch."""
    made = plan(net, recipe, of, seed)
    learner: Learner = load(net).learner(made)
    what = json.dumps([net, recipe.model_dump(exclude={"search"}), seed, of.rows_sha256], sort_keys=True)
    found = loop.fit(
        learner,
        of.training,
        of.validation,
        recipe.fit,
        lost=membership(of.columns),
        seed=seed,
        fingerprint=hashlib.sha256(what.encode()).hexdigest(),
        keep=keep,
        resume=resume,
        say=say,
    )
    return learner, made, found


def judge(net: str, recipe: Recipe, recording: Recording, seed: int) -> Callable[[Mapping[str, int | float]], float]:
    """For a search: what validation patients say of `net` with some numbers of the recipe changed."""
    of = material(recording, net)

    def judged_by(numbers: Mapping[str, int | float]) -> float:
        made = fitted(net, recipe.changed(numbers), of, seed=seed, keep=None, resume=False, say=lambda _: None)
        return made[2].best

    return judged_by


def train(
    name: str,
    net: str,
    recipe: Recipe,
    recording: Recording,
    folder: Path,
    *,
    seed: int,
    command: str,
    smoke: bool = False,
    keep: Path | None = None,
    resume: bool = False,
    say: Say = lambda _: None,
) -> Bundle:
    """Train `net` and write its bundle to `folder`, whose name is the version. Raises `InvalidInput` for data that cannot
    train it, or when the exported graph answers otherwise than the net does."""
    if smoke:
        recipe = recipe.changed({"epochs": min(_SMOKE_EPOCHS, recipe.fit.epochs)})
    of = material(thinned(recording, smoke), net)
    say(f"{len(of.training.targets):,} rows of {of.patients:,} training patients, {len(of.checked):,} to validate")
    learner, made, found = fitted(net, recipe, of, seed=seed, keep=keep, resume=resume, say=say)
    logits = learner.logits(of.validation.inputs)
    calibration, metrics = judged(logits, of.checked)
    for key, value in metrics.items():
        say(f"{key} {value:.4f}")
    learner = load(net).learner(made)
    loop.repeat(
        learner, of.all, recipe.fit, lost=membership(of.columns), seed=seed, epochs=found.best_epoch + 1, say=say
    )
    graph, weights = learner.onnx(), learner.weights()
    some = of.validation.inputs[:: max(1, len(logits) // _PARITY_ROWS)]
    off = parity(net, made, graph, weights, some)
    hold(off, "the net itself", f"on {len(some):,} rows", say)
    score = HORIZONS_H.index(SCORE_HORIZON_H)
    risk = probability(logits[:, score], calibration[score].slope, calibration[score].intercept)
    manifest = Manifest(
        name=name,
        version=folder.name,
        kind="classifier",
        framework=NETS[net].framework,
        summary=f"Risk of sepsis within 1, 6 and 24 hours from vital signs ({net.replace('_', ', ')}).",
        feature_set=FEATURE_SET,
        input=NETS[net].input,
        inputs=columns_of(of.columns, of.scaling),
        steps=HOURS if NETS[net].input == "sequence" else 1,
        missing="nan",
        clip=None if of.scaling is None else CLIP,
        horizons_h=HORIZONS_H,
        score_horizon_h=SCORE_HORIZON_H,
        calibration=calibration,
        thresholds=for_budgets(risk, of.checked.patient, of.checked.time_ms),
        finding=for_shares(risk, of.checked.patient, of.checked.time_ms, of.checked.event_ms),
        architecture=made.architecture,
        training=Training(
            data=recording.name,
            licence=recording.licence,
            citation=recording.citation,
            patients=of.everybody,
            rows=len(of.training.targets) + len(of.checked),
            rows_sha256=of.rows_sha256,
            seed=seed,
            command=command,
        ),
        metrics={**metrics, "parity": off, "best_epoch": found.best_epoch + 1},
    )
    card = classifier_card(manifest, smoke=smoke)
    made_of = {"model.onnx": graph, NETS[net].weights: weights, "card.md": card.encode("utf-8")}
    bundle = write_bundle(folder, manifest, made_of)
    held_out.save(folder, held_out.of(logits[:, score], calibration[score], of.checked, score))
    return bundle


def columns_of(columns: tuple[str, ...], scaling: Scaling | None) -> tuple[Input, ...]:
    """The inputs as a manifest names them."""
    centre = np.zeros(len(columns)) if scaling is None else scaling.centre
    spread = np.ones(len(columns)) if scaling is None else scaling.spread
    return tuple(
        Input(name=name, centre=float(c), spread=float(s), metrics=vitals_of(name))
        for name, c, s in zip(columns, centre, spread, strict=True)
    )


def judged(
    logits: Floats, rows: Examples, horizons_h: tuple[float, ...] = HORIZONS_H
) -> tuple[tuple[Calibration, ...], Mapping[str, float]]:
    """Platt's calibration of each horizon on validation rows, and how the model ranks them. The calibration is fitted on the
    rows that it is shown for, so its slope and intercept there are 1 and 0 and say nothing: see `vigil evaluate`."""
    calibration, metrics = [], {}
    for k, horizon in enumerate(horizons_h):
        happened = rows.targets[:, k]
        score, label = logits[:, k].astype(np.float64), happened.astype(np.uint8)
        slope, intercept = platt(logits[:, k], happened)
        calibration.append(Calibration(slope=slope, intercept=intercept))
        metrics[f"validation_auroc_{horizon:g}h"] = round(auroc(score, label), 4)
        metrics[f"validation_auprc_{horizon:g}h"] = round(auprc(score, label), 4)
        metrics[f"validation_prevalence_{horizon:g}h"] = round(float(happened.mean()), 4)
    return tuple(calibration), metrics


def parity(net: str, made: Plan, graph: bytes, weights: bytes, inputs: npt.NDArray[np.float32]) -> float:
    """The largest difference of a logit between the exported graph and the net built anew from its stored weights."""
    ours = opened(graph)({"input": inputs})["logits"]
    theirs = native(net, made.architecture, weights)(inputs)
    return float(np.abs(ours - theirs).max())
