"""Features of a recording as the stream would have made them, made once for all models that are judged on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from inference.datasets.recording import Recording
from inference.datasets.replay import feature_sequence, feature_table
from inference.features import FEATURES, METRICS
from inference.manifest import Manifest

Floats = npt.NDArray[np.float32]


class Replayed:
    """Keeps the features of the newest recording it was asked about: 1 to 2.3 KB a moment and kind."""

    def __init__(self) -> None:
        self._recording: Recording | None = None
        self._found: dict[str, Floats] = {}

    def features(self, recording: Recording, manifest: Manifest) -> Floats:
        """What a model looks at at every moment, before scaling."""
        return self._of(recording, "sequence" if manifest.input == "sequence" else manifest.feature_set)

    def known(self, recording: Recording, manifest: Manifest) -> npt.NDArray[np.bool_]:
        """The moments at which any vital was measured within 24 hours."""
        features = self.features(recording, manifest)
        if features.ndim == 3:
            return np.asarray((features[..., len(METRICS) : 2 * len(METRICS)] > 0).any(axis=(1, 2)))
        levels = [FEATURES.index(f"{metric}.level") for metric in METRICS]  # every feature set begins with these
        return np.asarray(~np.isnan(features[:, levels]).all(axis=1))

    def _of(self, recording: Recording, kind: str) -> Floats:
        if self._recording is not recording:
            self._recording, self._found = recording, {}
        if kind not in self._found:
            self._found[kind] = feature_sequence(recording) if kind == "sequence" else feature_table(recording, kind)
        return self._found[kind]
