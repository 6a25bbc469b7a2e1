"""Small bundles for tests; what matters to a test is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference.bundles import CARD, ONNX
from inference.manifest import Calibration, Input, Manifest, Training

TRAINING = Training(
    data="made up", licence="CC0-1.0", citation="none", patients=3, rows=30, rows_sha256="0" * 64, seed=1, command="none"
)


def manifest(**changes: Any) -> Manifest:
    """A classifier on a table of two vitals."""
    entries: dict[str, Any] = {
        "name": "toy",
        "version": "1",
        "kind": "classifier",
        "framework": "pytorch",
        "feature_set": "hours/1",
        "input": "table",
        "inputs": (
            Input(name="heart_rate.level", centre=80, spread=10, metrics=("heart_rate",)),
            Input(name="spo2.level", centre=96, spread=2, metrics=("spo2",)),
        ),
        "horizons_h": (1.0, 6.0),
        "score_horizon_h": 6.0,
        "calibration": (Calibration(), Calibration(slope=2.0, intercept=-1.0)),
        "thresholds": {"0.25": 0.6, "1": 0.4},
        "training": TRAINING,
        "metrics": {"auroc": 0.7},
    }
    return Manifest.model_validate({**entries, **changes})


def files(onnx: bytes = b"graph", **more: bytes) -> Mapping[str, bytes]:
    """The files of a bundle, manifest apart."""
    return {ONNX: onnx, CARD: b"# Toy\n", **more}
