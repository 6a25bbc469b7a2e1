"""From a recording to the bundle of LightGBM, the yardstick: trees on the same rows, calibrated, fitted once more on validation
patients too, and exported as the nets are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import numpy as np

from inference.bundles import NATIVE, Bundle, write_bundle
from inference.datasets.recording import Recording
from inference.datasets.split import Part, members
from inference.evaluate.ranking import auroc
from inference.features import FEATURE_SET
from inference.manifest import Manifest, Training
from inference.train import held_out
from inference.train.calibration import probability
from inference.train.card import classifier_card
from inference.train.classifier import SCORE_HORIZON_H, columns_of, judged, thinned
from inference.train.examples import Examples, examples
from inference.train.graphs import hold, opened
from inference.train.lightgbm_trees import boosted, read_recipe, read_search
from inference.train.lightgbm_trees import train as train_trees
from inference.train.thresholds import for_budgets, for_shares
from inference.train.trees_graph import trees_graph

Say = Callable[[str], None]
RECIPE: Final = Path(__file__).with_suffix(".toml")


def read_space() -> Mapping[str, Sequence[int | float]]:
    """The numbers that a search may try, by name."""
    return read_search(RECIPE)


def read_numbers() -> Mapping[str, int | float]:
    """The numbers of the recipe as it stands."""
    return asdict(read_recipe(RECIPE))


def judge(recording: Recording, seed: int) -> Callable[[Mapping[str, int | float]], float]:
    """For a search: the AUROC on validation patients with some numbers of the recipe changed."""
    _, training, checked = _parts(recording)
    label = checked.targets[:, 0].astype(np.uint8)

    def judged_by(numbers: Mapping[str, int | float]) -> float:
        recipe = read_recipe(RECIPE).changed(numbers)
        trees, _ = train_trees(
            training.inputs, training.targets[:, 0].astype(np.uint8), training.patient, seed, recipe=recipe
        )
        return auroc(trees.logits(checked.inputs), label)

    return judged_by


def _parts(recording: Recording) -> tuple[Examples, Examples, Examples]:
    """All rows, those of training patients, and those of the others."""
    rows = examples(recording, "table", (SCORE_HORIZON_H,))
    in_training = members(recording.patients, Part.TRAIN)[rows.patient]
    return rows, rows.take(in_training), rows.take(~in_training)


def train(
    name: str,
    recording: Recording,
    folder: Path,
    *,
    seed: int,
    command: str,
    smoke: bool = False,
    say: Say = lambda _: None,
) -> Bundle:
    """Train and write the bundle to `folder`, whose name is the version. One horizon: the one that is the score."""
    recording = thinned(recording, smoke)
    rows, training, checked = _parts(recording)
    in_training = members(recording.patients, Part.TRAIN)
    say(f"{len(training):,} rows of {in_training.sum():,} training patients, {len(checked):,} to validate")
    recipe = read_recipe(RECIPE)
    if smoke:
        recipe = replace(recipe, rounds=20, negatives=0.5)
    trees, held = train_trees(
        training.inputs, training.targets[:, 0].astype(np.uint8), training.patient, seed, recipe=recipe
    )
    say(
        f"{held.rounds} rounds, AUROC {held.auroc:.4f} on {held.patients:,} training patients that decided when to stop"
    )
    # The share of rows looked at moves all logits alike, which the calibration puts right.
    first = (trees.logits(checked.inputs) - trees.offset)[:, None].astype(np.float32)
    calibration, metrics = judged(first, checked, (SCORE_HORIZON_H,))
    for key, value in metrics.items():
        say(f"{key} {value:.4f}")
    risk = probability(first[:, 0], calibration[0].slope, calibration[0].intercept)
    trees = boosted(rows.inputs, rows.targets[:, 0].astype(np.uint8), seed, recipe=recipe, rounds=held.rounds)
    graph = trees_graph(trees.text)
    theirs = (trees.logits(checked.inputs) - trees.offset)[:, None]
    ours = opened(graph)({"input": checked.inputs})["logits"]
    off = float(np.abs(ours - theirs).max())
    hold(off, "LightGBM itself", f"on {len(ours):,} rows", say)
    manifest = Manifest(
        name=name,
        version=folder.name,
        kind="trees",
        framework="lightgbm",
        summary="Risk of sepsis within 6 hours from vital signs (gradient boosted trees).",
        feature_set=FEATURE_SET,
        input="table",
        inputs=columns_of(rows.columns, None),
        missing="nan",
        horizons_h=(SCORE_HORIZON_H,),
        score_horizon_h=SCORE_HORIZON_H,
        calibration=calibration,
        thresholds=for_budgets(risk, checked.patient, checked.time_ms),
        finding=for_shares(risk, checked.patient, checked.time_ms, checked.event_ms),
        architecture=dict(asdict(recipe)),
        training=Training(
            data=recording.name,
            licence=recording.licence,
            citation=recording.citation,
            patients=len(recording.patients),
            rows=len(rows),
            rows_sha256=rows.sha256(),
            seed=seed,
            command=command,
        ),
        metrics={**metrics, "parity": off, "rounds": held.rounds},
    )
    card = classifier_card(manifest, smoke=smoke)
    made_of = {"model.onnx": graph, NATIVE["lightgbm"]: trees.text.encode(), "card.md": card.encode("utf-8")}
    bundle = write_bundle(folder, manifest, made_of)
    held_out.save(folder, held_out.of(first[:, 0], calibration[0], checked, 0))
    return bundle
