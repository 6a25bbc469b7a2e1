"""The back end that a setting names, loaded only when it is asked for: no always-on process imports a training framework."""

from __future__ import annotations

from typing import Literal

from inference.bundles import Bundle
from inference.serving.backend import Backend


def open_backend(bundle: Bundle, choice: Literal["onnx", "native"] = "onnx") -> Backend:
    """Raises `InvalidInput` for a bundle that cannot be opened, and `VigilError` when a framework is not installed."""
    if choice == "onnx" or bundle.manifest.framework == "onnx":
        from inference.serving.onnx_runtime import OnnxBackend

        return OnnxBackend(bundle)
    from inference.serving.native import NativeBackend

    return NativeBackend(bundle)
