"""From minutes to the bundle of the forecaster: training, comparison with persistence, export, card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from inference.bundles import Bundle, write_bundle
from inference.datasets.minutes import MINUTES, Texture, filled, hourly_change, hours_of, real_minutes, starts, texture
from inference.datasets.recording import Recording
from inference.datasets.split import Part, members, share
from inference.features import FEATURE_SET, METRICS
from inference.features.layout import CENTRES, SPREADS
from inference.manifest import Forecast, Input, Manifest, Training
from inference.nets import NETS, Floats, load, native
from inference.train import loop
from inference.train.card import forecaster_card
from inference.train.graphs import hold, opened
from inference.train.recipe import Fit, Recipe

Say = Callable[[str], None]
NET: Final = "torch_gru"
STEPS_AHEAD: Final = (1, 15, 60)
CLIP: Final = 8.0
WARM_STEPS: Final = 10
_CROPS: Final = 2_048  # an epoch
_JUDGED: Final = 1_500
_FEWER: Final = 8  # times, in a smoke run
_SCALE_ROWS: Final = 20_000
_SMOKE_SHARE: Final = 0.05
_SMOKE_EPOCHS: Final = 2
_KNOTS_PARITY: Final = 512
_SCALES: Final = np.geomspace(0.01, 4, 60)


def train(
    name: str,
    recipe: Recipe,
    recording: Recording,
    minutes: Path,
    folder: Path,
    *,
    seed: int,
    command: str,
    smoke: bool = False,
    keep: Path | None = None,
    resume: bool = False,
    say: Say = lambda _: None,
) -> Bundle:
    """Train on the hours of `recording` and the real minutes in folder `minutes`, and write the bundle to `folder`, whose
    name is the version. Raises `InvalidInput` for data that cannot train it."""
    if smoke:
        recipe = recipe.changed({"epochs": _SMOKE_EPOCHS})
    crops, judged = (_CROPS // _FEWER, _JUDGED // _FEWER) if smoke else (_CROPS, _JUDGED)
    real, records = real_minutes(minutes)
    allowed = members(recording.patients, Part.TRAIN)
    checked = members(recording.patients, Part.VALIDATION)
    if smoke:
        few = (share(recording.patients) * 1_000) % 1 < _SMOKE_SHARE
        allowed, checked = allowed & few, checked & few
    of_real = members(records, Part.TRAIN)
    hours, patient = hours_of(recording.of_patients(allowed))
    grain = texture(real[of_real], hourly_change(hours, patient))
    for k in np.flatnonzero(grain.measured):
        walk, noise = grain.walk[k] * SPREADS[k], grain.noise[k] * SPREADS[k]
        say(f"{METRICS[k]}: wanders {walk:.2f} a minute, a minute's median is off by {noise:.2f}")
    begin = starts(hours, patient)
    other_hours, other_patient = hours_of(recording.of_patients(checked))
    other_begin = starts(other_hours, other_patient)
    if len(begin) < 2 or len(other_begin) < 2 or not of_real.any() or of_real.all():
        raise InvalidInput("data", "holds too few hours in a row of training or of validation patients")
    draw = np.random.default_rng([seed, 99])
    some = np.sort(draw.choice(other_begin, min(judged, len(other_begin)), replace=False))
    to_check = clipped(filled(other_hours, some, grain, draw))
    to_fit = clipped(filled(hours, np.sort(draw.choice(begin, min(judged, len(begin)), replace=False)), grain, draw))
    digest = hashlib.sha256(hours.tobytes() + begin.tobytes() + real[of_real].tobytes()).hexdigest()
    architecture: dict[str, int | float | str | bool | list[int]] = {
        "net": NET, "columns": len(METRICS), "ahead": len(STEPS_AHEAD), **recipe.architecture,
    }  # fmt: skip
    learner = load(NET).GruLearner(architecture, STEPS_AHEAD, seed, recipe.fit.weight_decay)
    what = json.dumps([recipe.model_dump(exclude={"search"}), seed, digest], sort_keys=True)
    taught = clipped(real[of_real])
    found = loop.until_best(
        learner,
        lambda epoch: _epoch(
            learner, recipe.fit, hours, begin, grain, taught, crops=crops, seed=seed, epoch=epoch
        ),
        lambda: -float(np.nanmean(learner.losses(to_check))),
        recipe.fit,
        measure="log-likelihood",
        fingerprint=hashlib.sha256(what.encode()).hexdigest(),
        keep=keep,
        resume=resume,
        say=say,
    )
    freedom = float(recipe.architecture["freedom"])
    scales = _persistence_scales(to_fit, freedom)
    metrics = _metrics(learner, to_check, clipped(real[~of_real]), scales, freedom)
    for key, value in metrics.items():
        say(f"{key} {value:.4f}")
    graph, weights = learner.onnx(), learner.weights()
    off = _parity(architecture, graph, weights, to_check[:_KNOTS_PARITY], learner.width)
    hold(off, "the net itself", f"over {MINUTES} steps", say)
    manifest = Manifest(
        name=name,
        version=folder.name,
        kind="forecaster",
        framework="pytorch",
        summary="What each vital will be 1, 15 and 60 minutes ahead, and how surprising it is when it comes.",
        feature_set=FEATURE_SET,
        input="step",
        inputs=tuple(
            Input(name=metric, centre=centre, spread=spread, metrics=(metric,))
            for metric, centre, spread in zip(METRICS, CENTRES, SPREADS, strict=True)
        ),
        missing="nan",
        clip=CLIP,
        forecast=Forecast(
            metrics=METRICS, step_s=60, steps_ahead=STEPS_AHEAD, state=learner.width, degrees_of_freedom=freedom,
            warm_steps=WARM_STEPS,
        ),
        architecture=architecture,
        training=Training(
            data=f"{recording.name} by the hour, bidmc by the minute; the minutes between two hours are semi-synthetic",
            licence=f"{recording.licence}; ODC-By 1.0",
            citation=f"{recording.citation}; Pimentel et al., IEEE Transactions on Biomedical Engineering 2016",
            patients=int(allowed.sum()) + int(of_real.sum()),
            rows=len(begin),
            rows_sha256=digest,
            seed=seed,
            command=command,
        ),
        metrics={**metrics, "parity": off, "best_epoch": found.best_epoch + 1},
    )  # fmt: skip
    card = forecaster_card(manifest, smoke=smoke)
    return write_bundle(
        folder, manifest, {"model.onnx": graph, NETS[NET].weights: weights, "card.md": card.encode("utf-8")}
    )


def clipped(minutes: Floats) -> Floats:
    """As serving clips its inputs."""
    return np.clip(minutes, -np.float32(CLIP), np.float32(CLIP)).astype(np.float32)


def _epoch(
    learner: Any,
    how: Fit,
    hours: Floats,
    begin: npt.NDArray[np.intp],
    grain: Texture,
    real: Floats,
    *,
    crops: int,
    seed: int,
    epoch: int,
) -> float:
    """The mean loss. An epoch sees new crops with new bridges, and the real minutes once."""
    draw = np.random.default_rng([seed, epoch])
    rows = draw.choice(begin, min(crops, len(begin)), replace=False)
    rate = how.learning_rate * min((epoch + 1) / 2, 1.0) * 0.5 * (1 + float(np.cos(np.pi * epoch / how.epochs)))
    losses = [
        learner.step(clipped(filled(hours, rows[k : k + how.batch], grain, draw, lost=how.lost_vital)), rate)
        for k in range(0, len(rows), how.batch)
    ]
    learner.step(real, rate)
    return float(np.mean(losses))


def _newest(minutes: Floats) -> Floats:
    """At each minute the newest value so far, NaN before the first."""
    found = minutes.copy()
    for t in range(1, found.shape[1]):
        found[:, t] = np.where(np.isnan(found[:, t]), found[:, t - 1], found[:, t])
    return found


def _loss(off: npt.NDArray[np.floating[Any]], scale: float, freedom: float) -> float:
    known = off[~np.isnan(off)].astype(np.float64)
    if not len(known):
        return float("nan")
    return float((np.log(scale) + (freedom + 1) / 2 * np.log1p((known / scale) ** 2 / freedom)).mean())


def _persistence_scales(minutes: Floats, freedom: float) -> npt.NDArray[np.float64]:
    """The rival: the newest value goes on, with the scale that fits training patients best. Shape (steps ahead, vitals)."""
    newest = _newest(minutes)
    found = np.ones((len(STEPS_AHEAD), minutes.shape[2]))
    for k, ahead in enumerate(STEPS_AHEAD):
        off = minutes[:, ahead:] - newest[:, :-ahead]
        for m in range(minutes.shape[2]):
            known = off[..., m][~np.isnan(off[..., m])]
            known = known[:: max(1, len(known) // _SCALE_ROWS)]
            losses = [_loss(known, scale, freedom) for scale in _SCALES]
            if np.isfinite(losses).all():
                found[k, m] = _SCALES[int(np.argmin(losses))]
    return found


def _metrics(
    learner: Any, minutes: Floats, real: Floats, scales: npt.NDArray[np.float64], freedom: float
) -> dict[str, float]:
    """Negative log-likelihood (nats a value, lower is better) and mean absolute error beside persistence.

    `charted_60`: forecasts of charted values an hour ahead, real values on both ends. `real_1`: real minutes of patients that
    trained nothing.
    """
    found: dict[str, float] = {}
    newest = _newest(minutes)
    losses = learner.losses(minutes)
    for k, ahead in enumerate(STEPS_AHEAD):
        off = minutes[:, ahead:] - newest[:, :-ahead]
        rival = [_loss(off[..., m], scales[k, m], freedom) for m in range(minutes.shape[2])]
        found[f"minutes_{ahead}_nll"] = float(np.nanmean(losses[k]))
        found[f"minutes_{ahead}_nll_persistence"] = float(np.nanmean(rival))
    mean, _ = learner.forecasts(minutes)
    hour = len(STEPS_AHEAD) - 1
    for metric in ("heart_rate", "systolic_bp", "respiratory_rate"):
        m = METRICS.index(metric)
        came = minutes[:, 60::60, m]
        said, before = mean[:, 0:-60:60, hour, m], newest[:, 0:-60:60, m]
        # The first knot comes after one step of state: nothing known but itself. Later ones have an hour behind them.
        known = ~np.isnan(came[:, 1:]) & ~np.isnan(before[:, 1:])
        found[f"charted_60_mae_{metric}"] = float(np.abs(said - came)[:, 1:][known].mean() * SPREADS[m])
        found[f"charted_60_mae_{metric}_persistence"] = float(np.abs(before - came)[:, 1:][known].mean() * SPREADS[m])
    off = real[:, 1:] - _newest(real)[:, :-1]
    rival = [_loss(off[..., m], scales[0, m], freedom) for m in range(real.shape[2])]
    found["real_1_nll"] = float(np.nanmean(learner.losses(real)[0]))
    found["real_1_nll_persistence"] = float(np.nanmean(rival))
    return {key: round(value, 4) for key, value in found.items()}


def _parity(architecture: Mapping[str, Any], graph: bytes, weights: bytes, minutes: Floats, width: int) -> float:
    """The largest difference over all steps of a carried state, each side carrying its own."""
    run, step = native(NET, architecture, weights), opened(graph)
    ours = theirs = np.zeros((len(minutes), width), dtype=np.float32)
    most = 0.0
    for t in range(minutes.shape[1]):
        inputs = np.ascontiguousarray(minutes[:, t])
        answer = step({"input": inputs, "state": ours})
        mean, scale, theirs = run(inputs, theirs)
        ours = answer["next_state"]
        for mine, other in ((answer["mean"], mean), (answer["scale"], scale), (ours, theirs)):
            most = max(most, float(np.abs(mine - other).max()))
    return most
