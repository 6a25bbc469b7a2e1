"""A trained bundle as a scorer of the contract: `TrainedModels` with it alone, frames in, one frame of scores out."""

from __future__ import annotations

from functools import cache

import numpy as np

from contracts.frames import labels
from contracts.scores import Scores
from contracts.windows import Windows
from inference.bundles import load_bundle
from inference.serving.choice import order
from inference.serving.folders import SHIPPED
from inference.serving.lineup import Lineup, Loaded, Served, loaded
from inference.serving.onnx_runtime import OnnxBackend
from inference.serving.trained import TrainedModels
from tests.inference.serving.runners import Direct


@cache
def shipped(name: str) -> Loaded:
    """The newest version of a bundle that ships; opened once, since it has no state."""
    versions = [path for path in (SHIPPED / name).iterdir() if (path / "manifest.json").is_file()]
    bundle = load_bundle(max(versions, key=lambda path: order(path.name)))
    return loaded(bundle, Direct(OnnxBackend(bundle)))


class TrainedScorer:
    """The windows of the contract's tests end on whole minutes, so each of them has a score."""

    def __init__(self, model: Loaded) -> None:
        manifest = model.bundle.manifest
        self.name, self.version = manifest.name, manifest.version
        served = Served(name=self.name, wanted=self.version, chain=(model,))
        lineup = Lineup(version=0, models=(served,))
        self._models = TrainedModels(0, lambda _: lineup)

    def score(self, windows: Windows) -> Scores:
        found = self._models.score(windows, 0)
        metrics = sorted({metric for scores in found for metric in scores.contribution})
        rows = {
            (patient, int(scores.window_end_ms[i])): (scores, i)
            for scores in found
            for i, patient in enumerate(scores.patient.tolist())
        }
        asked = list(zip(windows.patient.tolist(), windows.window_end_ms.tolist(), strict=True))
        at = [rows[row] for row in asked]
        nothing = np.zeros(1, dtype=np.float32)
        return Scores(
            model=self.name,
            version=self.version,
            patient=labels([patient for patient, _ in asked]),
            window_end_ms=windows.window_end_ms,
            score=np.array([scores.score[i] for scores, i in at], dtype=np.float32),
            status=np.array([scores.status[i] for scores, i in at], dtype=np.uint8),
            contribution={
                metric: np.array(
                    [scores.contribution.get(metric, nothing)[i if metric in scores.contribution else 0] for scores, i in at],
                    dtype=np.float32,
                )
                for metric in metrics
            },
            deviation={},
        )

    def snapshot(self) -> bytes:
        return self._models.snapshot()

    def restore(self, snapshot: bytes) -> None:
        self._models.restore(snapshot)
