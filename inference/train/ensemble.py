"""From trained models to the bundle of their ensemble: nothing is trained, what they said of validation patients is calibrated.

Every set of members has its own calibration, so that the probability means the same whichever of them are there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from inference.bundles import Bundle, load_bundle, write_bundle
from inference.evaluate.ranking import auprc, auroc
from inference.manifest import Calibration, Input, Manifest
from inference.train import held_out
from inference.train.calibration import platt, probability
from inference.train.card import ensemble_card
from inference.train.classifier import SCORE_HORIZON_H
from inference.train.ensemble_graph import ensemble_graph
from inference.train.graphs import hold, opened
from inference.train.thresholds import for_budgets, for_shares

Floats = npt.NDArray[np.float32]
Say = Callable[[str], None]

FEATURE_SET: Final = "members/1"
MOST: Final = 8  # members: there are twice as many sets with each


def train(name: str, members: Sequence[Path], folder: Path, *, seed: int, command: str, say: Say = lambda _: None) -> Bundle:
    """Calibrate and write the bundle to `folder`. `members`: folders of their bundles, with what they said beside them.

    Raises `InvalidInput` when they did not speak of the same patients, or are of other horizons.
    """
    if not 2 <= len(members) <= MOST:
        raise InvalidInput("members", f"must be 2 to {MOST} models")
    bundles = [load_bundle(path) for path in members]
    said = [held_out.load(path) for path in members]
    for bundle, each in zip(bundles, said, strict=True):
        if not each.same_rows(said[0]):
            raise InvalidInput("members", f"{bundle.label} was validated on other patients than {bundles[0].label}")
        if bundle.manifest.score_horizon_h != SCORE_HORIZON_H:
            raise InvalidInput("members", f"{bundle.label} scores another horizon than {SCORE_HORIZON_H:g} h")
    logits = np.stack([each.logit for each in said], axis=1)
    rows, happened = said[0], said[0].happened
    slopes, intercepts = calibrations(logits, happened)
    graph = ensemble_graph(slopes, intercepts)
    found = opened(graph)({"input": logits})["logits"][:, 0]
    off = float(np.abs(found - (logits.mean(axis=1) * slopes[-1] + intercepts[-1])).max())
    hold(off, "its formula", f"on {len(found):,} rows", say)
    label, risk = happened.astype(np.uint8), probability(found, 1.0, 0.0)
    metrics = {
        **{
            f"validation_auroc_{bundle.manifest.name}": round(auroc(logits[:, k].astype(np.float64), label), 4)
            for k, bundle in enumerate(bundles)
        },
        f"validation_auroc_{SCORE_HORIZON_H:g}h": round(auroc(found.astype(np.float64), label), 4),
        f"validation_auprc_{SCORE_HORIZON_H:g}h": round(auprc(found.astype(np.float64), label), 4),
        f"validation_prevalence_{SCORE_HORIZON_H:g}h": round(float(label.mean()), 4),
    }
    for key, value in metrics.items():
        say(f"{key} {value:.4f}")
    manifest = Manifest(
        name=name,
        version=folder.name,
        kind="ensemble",
        framework="onnx",
        summary=f"Risk of sepsis within {SCORE_HORIZON_H:g} hours: {len(bundles)} models together.",
        feature_set=FEATURE_SET,
        input="members",
        inputs=tuple(Input(name=bundle.manifest.name, metrics=bundle.manifest.vitals) for bundle in bundles),
        horizons_h=(SCORE_HORIZON_H,),
        score_horizon_h=SCORE_HORIZON_H,
        calibration=(Calibration(),),
        thresholds=for_budgets(risk, rows.patient, rows.time_ms),
        finding=for_shares(risk, rows.patient, rows.time_ms, rows.event_ms),
        architecture={bundle.manifest.name: bundle.manifest.version for bundle in bundles},
        training=bundles[0].manifest.training.model_copy(
            update={"rows_sha256": _together(bundles), "seed": seed, "command": command}
        ),
        metrics={**metrics, "parity": off},
    )
    return write_bundle(folder, manifest, {"model.onnx": graph, "card.md": ensemble_card(manifest).encode()})


def calibrations(logits: Floats, happened: Floats) -> tuple[Floats, Floats]:
    """Slope and intercept for the mean of each set of members, by its number: member k is bit k. `logits`: [rows, members].
    The empty set, which has no mean, has those of a line that changes nothing."""
    count = logits.shape[1]
    slopes, intercepts = np.ones(1 << count, dtype=np.float32), np.zeros(1 << count, dtype=np.float32)
    for chosen in range(1, 1 << count):
        members = [k for k in range(count) if chosen >> k & 1]
        slopes[chosen], intercepts[chosen] = platt(logits[:, members].mean(axis=1), happened)
    return slopes, intercepts


def _together(bundles: Sequence[Bundle]) -> str:
    """A digest of the members: an ensemble of others shows."""
    return hashlib.sha256("\n".join(bundle.digest for bundle in bundles).encode()).hexdigest()
