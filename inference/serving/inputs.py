"""From features to the array a graph is given: columns by name, scaled, clipped, gaps as the manifest wants them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from inference.bundles import MANIFEST
from inference.features import CHANNELS, FEATURE_SETS, METRICS
from inference.manifest import Manifest

Floats = npt.NDArray[np.float32]

_SAME_IN_ALL: Final[dict[str, tuple[str, ...]]] = {"sequence": CHANNELS, "step": METRICS}


class Inputs:
    """What one model is given. Raises `InvalidInput` when its manifest asks for what the stream does not have."""

    def __init__(self, manifest: Manifest) -> None:
        if manifest.input != "members" and manifest.feature_set not in FEATURE_SETS:
            sets = ", ".join(FEATURE_SETS)
            raise InvalidInput(f"{MANIFEST} feature_set", f"is {manifest.feature_set}, and this release makes {sets}")
        if manifest.input == "sequence" and manifest.steps != 24:
            raise InvalidInput(f"{MANIFEST} steps", "must be 24 hours for a sequence of this feature set")
        have = {name: place for place, name in enumerate(_names(manifest))}
        for column in manifest.inputs:
            if column.name not in have:
                raise InvalidInput(f"{MANIFEST} inputs", f"asks for {column.name!r}, which the stream does not have")
        self._place = np.array([have[column.name] for column in manifest.inputs], dtype=np.intp)
        self._centre = np.array([column.centre for column in manifest.inputs], dtype=np.float32)
        self._spread = np.array([column.spread for column in manifest.inputs], dtype=np.float32)
        self._clip = None if manifest.clip is None else np.float32(manifest.clip)
        self._masked = manifest.missing == "mask"

    def array(self, features: Floats) -> Floats:
        """Shape (rows, ..., width) from features of shape (rows, ..., names of the feature set)."""
        scaled = (features[..., self._place] - self._centre) / self._spread
        if self._clip is not None:
            scaled = np.clip(scaled, -self._clip, self._clip)
        if self._masked:
            there = ~np.isnan(scaled)
            scaled = np.concatenate([np.where(there, scaled, np.float32(0)), there], axis=-1)
        return np.ascontiguousarray(scaled, dtype=np.float32)


def _names(manifest: Manifest) -> tuple[str, ...]:
    if manifest.input == "members":
        return tuple(column.name for column in manifest.inputs)
    return FEATURE_SETS[manifest.feature_set] if manifest.input == "table" else _SAME_IN_ALL[manifest.input]


def places_of(metrics: Sequence[str]) -> npt.NDArray[np.intp]:
    """The index of each vital in the feature set. Raises `InvalidInput` for one that is not in it."""
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown:
        raise InvalidInput(f"{MANIFEST} inputs", f"is made of {unknown[0]}, which no feature set holds")
    return np.array([METRICS.index(metric) for metric in metrics], dtype=np.intp)
