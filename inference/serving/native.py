"""Native back ends: a bundle run by the framework it was trained in. For comparison, and where somebody prefers it.

A framework is imported when the first bundle of it is opened; the always-on processes use ONNX Runtime.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from contracts.errors import InvalidInput, VigilError
from inference.bundles import MANIFEST, NATIVE, Bundle
from inference.serving.backend import INPUT, LOGITS, MEAN, NEXT_STATE, SCALE, STATE, Floats, try_out

_PACKAGE: Final = {"pytorch": "torch", "tensorflow": "tensorflow", "lightgbm": "lightgbm"}


class NativeBackend:
    """See the module. Raises `InvalidInput` when the bundle has no native weights or they do not fit its manifest."""

    def __init__(self, bundle: Bundle) -> None:
        framework = bundle.manifest.framework
        weights = bundle.files.get(NATIVE[framework])
        if weights is None:
            raise InvalidInput(NATIVE[framework], "is not in the bundle, so it cannot run in its own framework")
        package = _package(framework)
        self.name = f"{framework} {package.__version__}"
        self._call = _lightgbm(package, weights) if framework == "lightgbm" else _net(bundle, weights)
        self._names = (MEAN, SCALE, NEXT_STATE) if bundle.manifest.kind == "forecaster" else (LOGITS,)
        try_out(bundle, self)

    def run(self, inputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
        given = [inputs[name] for name in (INPUT, STATE) if name in inputs]
        answer = self._call(*given)
        answers = answer if isinstance(answer, tuple) else (answer,)
        return {name: np.asarray(array, dtype=np.float32) for name, array in zip(self._names, answers, strict=True)}

    def stop(self) -> None:
        """No framework can be asked to stop; the guard gives up waiting."""


def _package(framework: str) -> Any:
    try:
        return importlib.import_module(_PACKAGE[framework])
    except ModuleNotFoundError as error:
        raise VigilError(
            f"The native back end {framework} is not installed.",
            cause=f"there is no module {error.name}",
            fix="pip install 'vigil-rpm[train]', or set VIGIL_MODEL_BACKEND=onnx",
        ) from error


def _net(bundle: Bundle, weights: bytes) -> Callable[..., Any]:
    from inference.nets import native

    net = bundle.manifest.architecture.get("net")
    if not isinstance(net, str):
        raise InvalidInput(f"{MANIFEST} architecture", "does not name its net, so it cannot be built again")
    return native(net, bundle.manifest.architecture, weights)


def _lightgbm(package: Any, weights: bytes) -> Callable[..., Any]:
    try:
        booster = package.Booster(model_str=weights.decode())
    except Exception as error:  # LightGBM's own error, or one of decoding
        raise InvalidInput(NATIVE["lightgbm"], f"cannot be read by LightGBM ({type(error).__name__})") from error


    def call(table: Floats) -> Any:
        return booster.predict(table, raw_score=True, num_threads=1).reshape(len(table), -1)

    return call
