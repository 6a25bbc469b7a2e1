"""ONNX Runtime, the back end of every always-on process: one thread, no training framework, some megabytes a model."""

from __future__ import annotations

from collections.abc import Mapping

import onnxruntime

from contracts.errors import InvalidInput
from inference.bundles import MANIFEST, ONNX, Bundle
from inference.serving.backend import Floats, input_shapes, output_shapes, try_out


class OnnxBackend:
    """A session of one bundle. Raises `InvalidInput` when the graph is none, or is not the one its manifest describes."""

    def __init__(self, bundle: Bundle) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4  # it prints to standard error; what matters is raised
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                bundle.files[ONNX], sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's errors have no common family
            raise InvalidInput(ONNX, f"cannot be opened by ONNX Runtime ({type(error).__name__})") from error
        _check_signature(bundle, self._session)
        self._outputs = list(output_shapes(bundle.manifest))
        self._run = onnxruntime.RunOptions()
        try_out(bundle, self)

    @property
    def name(self) -> str:
        return f"onnxruntime {onnxruntime.__version__}"

    def run(self, inputs: Mapping[str, Floats]) -> Mapping[str, Floats]:
        answers = self._session.run(self._outputs, dict(inputs), self._run)
        return dict(zip(self._outputs, answers, strict=True))

    def stop(self) -> None:
        """The runtime looks at this between two operators."""
        self._run.terminate = True
        self._run = onnxruntime.RunOptions()  # for the calls that follow


def _check_signature(bundle: Bundle, session: onnxruntime.InferenceSession) -> None:
    expected = input_shapes(bundle.manifest)
    found = {node.name: node for node in session.get_inputs()}
    for name in found:
        if name not in expected:
            raise InvalidInput(ONNX, f"needs an input {name[:60]!r}, which nothing provides")
    for name, shape in expected.items():
        node = found.get(name)
        if node is None:
            raise InvalidInput(ONNX, f"has no input {name!r}")
        if node.type != "tensor(float)":
            raise InvalidInput(ONNX, f"wants {name} as {node.type}, not float32")
        if len(node.shape) != len(shape) + 1:
            raise InvalidInput(ONNX, f"wants {name} with {len(node.shape)} dimensions, not {len(shape) + 1}")
        if isinstance(node.shape[0], int):
            raise InvalidInput(ONNX, f"wants exactly {node.shape[0]} rows of {name}; the first dimension must be free")
        for have, want in zip(node.shape[1:], shape, strict=True):
            if isinstance(have, int) and have != want:
                raise InvalidInput(ONNX, f"wants {name} in shape {tuple(node.shape[1:])}, and {MANIFEST} says {shape}")
    outputs = {node.name for node in session.get_outputs()}
    for name in output_shapes(bundle.manifest):
        if name not in outputs:
            raise InvalidInput(ONNX, f"does not answer with {name!r}")
