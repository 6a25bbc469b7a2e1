"""Every scorer that is held to the common rules. A new scorer is one row here; it needs no other test of these rules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inference.detectors.news2 import News2
from inference.detectors.pca_residual import INPUTS, PcaResidual, fit
from inference.detectors.personal_baseline import PersonalBaseline, Policy
from inference.scorer import Scorer
from tests.inference.contract.trained import TrainedScorer, shipped


def _pca() -> Scorer:
    rng = np.random.default_rng(5)
    centre = np.array([80, 97, 36.9, 120, 85, 65, 17], dtype=np.float32)
    spread = np.array([10, 2, 0.4, 15, 10, 9, 3], dtype=np.float32)
    values = centre + spread * rng.normal(size=(400, len(INPUTS))).astype(np.float32)
    return PcaResidual(fit(values.astype(np.float32)))


SCORERS: dict[str, Callable[[], Scorer]] = {
    "personal_baseline": lambda: PersonalBaseline(Policy(ready_windows=3)),
    "news2": News2,
    "pca_residual": _pca,
}
"""Each call makes a new one, with its seed where it has one."""

SHIPPED: dict[str, Callable[[], Scorer]] = {
    "trees": lambda: TrainedScorer(shipped("deterioration_lightgbm")),
    "net": lambda: TrainedScorer(shipped("deterioration_torch_dense")),
    "forecaster": lambda: TrainedScorer(shipped("forecaster_torch_gru")),
}
"""Of the bundles that ship, one of each way of keeping state and running a graph. They are slow, and are held to the rules with
one seed each; their machinery is tried with many in `serving/test_trained.py`."""

WITH_BASE = frozenset({"trees", "net"})
"""Those that score more than 0 when nothing is unusual: their parts add up to the score less that base."""
