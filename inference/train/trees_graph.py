"""LightGBM's trees as an ONNX graph: `input` [rows, features] -> `logits` [rows, 1], raw scores.

A value goes left when it is at most the threshold. LightGBM holds thresholds in double precision and ONNX in single, so each is
rounded down to the next single: for values in single precision that is the same comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import lightgbm
import numpy as np
import onnx
from onnx import TensorProto, helper

from contracts.errors import InvalidInput

_OPSETS: Final = (("", 17), ("ai.onnx.ml", 3))
_IR_VERSION: Final = 9
_ZERO: Final = 1e-35  # LightGBM takes values this near to 0 as 0


@dataclass(slots=True)
class _Nodes:
    """Columns of all nodes, and of the leaves' weights."""

    trees: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    missing_left: list[int] = field(default_factory=list)
    leaf_trees: list[int] = field(default_factory=list)
    leaf_ids: list[int] = field(default_factory=list)
    leaf_values: list[float] = field(default_factory=list)

    def add(self, tree: int, node: dict[str, Any], count: int) -> int:
        """Add `node` and what hangs below it; `count` nodes of the tree are there already. How many there are then."""
        here = count
        place = len(self.ids)
        self.trees.append(tree)
        self.ids.append(here)
        for column in (self.features, self.left, self.right, self.missing_left):
            column.append(0)
        self.values.append(0.0)
        if "leaf_value" in node:
            self.modes.append("LEAF")
            self.leaf_trees.append(tree)
            self.leaf_ids.append(here)
            self.leaf_values.append(float(node["leaf_value"]))
            return count + 1
        if node["decision_type"] != "<=" or node["missing_type"] == "Zero":
            raise InvalidInput("trees", "hold a split that is not of numbers, or that takes 0 as missing")
        threshold = float(node["threshold"])
        self.modes.append("BRANCH_LEQ")
        self.features[place] = int(node["split_feature"])
        self.values[place] = _down(threshold)
        # Where no value was missing in training LightGBM reads a missing one as 0.
        to_left = node["default_left"] if node["missing_type"] == "NaN" else threshold >= -_ZERO
        self.missing_left[place] = int(bool(to_left))
        self.left[place] = count + 1
        after = self.add(tree, node["left_child"], count + 1)
        self.right[place] = after
        return self.add(tree, node["right_child"], after)


def trees_graph(text: str) -> bytes:
    """The graph of a model in LightGBM's text format. Raises `InvalidInput` for splits that ONNX cannot say."""
    model = lightgbm.Booster(model_str=text).dump_model()
    nodes = _Nodes()
    for tree in model["tree_info"]:
        nodes.add(int(tree["tree_index"]), tree["tree_structure"], 0)
    features = len(model["feature_names"])
    ensemble = helper.make_node(
        "TreeEnsembleRegressor",
        ["input"],
        ["logits"],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        nodes_treeids=nodes.trees,
        nodes_nodeids=nodes.ids,
        nodes_featureids=nodes.features,
        nodes_modes=nodes.modes,
        nodes_values=nodes.values,
        nodes_truenodeids=nodes.left,
        nodes_falsenodeids=nodes.right,
        nodes_missing_value_tracks_true=nodes.missing_left,
        target_treeids=nodes.leaf_trees,
        target_nodeids=nodes.leaf_ids,
        target_ids=[0] * len(nodes.leaf_ids),
        target_weights=nodes.leaf_values,
    )
    graph = helper.make_graph(
        [ensemble],
        "trees",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["rows", features])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 1])],
    )
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in _OPSETS],
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(made)
    content: bytes = made.SerializeToString(deterministic=True)
    return content


def _down(threshold: float) -> float:
    with np.errstate(over="ignore"):  # "anything that is there" is the largest double, which is infinite in single
        single = np.float32(threshold)
    return float(single if float(single) <= threshold else np.nextafter(single, np.float32(-np.inf)))
