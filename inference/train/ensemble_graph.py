"""An ensemble as an ONNX graph: `input` [rows, members] -> `logits` [rows, 1].

A member that is there counts, one that is NaN does not. The mean of those there goes through a line of its own for every set
of members: fewer of them are less sure, or surer, than all together. With no member there the answer is NaN.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

_OPSET: Final = 17
_IR_VERSION: Final = 9


def ensemble_graph(slopes: npt.NDArray[np.float32], intercepts: npt.NDArray[np.float32]) -> bytes:
    """`slopes` and `intercepts`: by set of members, of which member k is bit k; shape (2 ** members,)."""
    count = len(slopes).bit_length() - 1
    nodes = [
        helper.make_node("IsNaN", ["input"], ["missing"]),
        helper.make_node("Where", ["missing", "nothing", "input"], ["known"]),
        helper.make_node("Where", ["missing", "nothing", "one"], ["there"]),
        helper.make_node("ReduceSum", ["known", "across"], ["total"]),
        helper.make_node("ReduceSum", ["there", "across"], ["members"]),
        helper.make_node("Div", ["total", "members"], ["mean"]),
        helper.make_node("Mul", ["there", "bits"], ["which"]),
        helper.make_node("ReduceSum", ["which", "across"], ["set_number"]),
        helper.make_node("Cast", ["set_number"], ["set"], to=TensorProto.INT64),
        helper.make_node("Gather", ["slopes", "set"], ["slope"]),
        helper.make_node("Gather", ["intercepts", "set"], ["intercept"]),
        helper.make_node("Mul", ["mean", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "intercept"], ["logits"]),
    ]
    constants = {
        "nothing": np.float32(0),
        "one": np.float32(1),
        "across": np.array([1], dtype=np.int64),
        "bits": (2.0 ** np.arange(count)).astype(np.float32),
        "slopes": slopes.astype(np.float32),
        "intercepts": intercepts.astype(np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "ensemble",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["rows", count])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(made)
    content: bytes = made.SerializeToString(deterministic=True)
    return content
