"""Runners without threads, well and ill."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from inference.serving.backend import Backend, Floats, ModelFailed


class Direct:
    """Calls the back end in the caller's thread. `ill`: None, "raises" or "nan"."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.ill: str | None = None
        self.calls = 0

    @property
    def name(self) -> str:
        return self._backend.name

    def run(self, inputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
        self.calls += 1
        if self.ill == "raises":
            raise ModelFailed("failed with ValueError")
        answer = self._backend.run(inputs)
        if self.ill == "nan":
            return {name: np.full_like(array, np.nan) for name, array in answer.items()}
        return answer

    def failed(self, reason: str) -> ModelFailed:
        return ModelFailed(reason)

    def worked(self) -> None:
        pass
