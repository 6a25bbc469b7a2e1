"""Dense classifier in PyTorch on the feature table: curves of each feature, then a residual perceptron."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from inference.nets import Architecture, Floats, Plan, number, whole
from inference.nets.torch_classifier import Shapes, TorchLearner, bins_of, native_classifier


class Dense(nn.Module):
    """[rows, columns] -> [rows, horizons]."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        columns, curves, hidden = (whole(architecture, key) for key in ("columns", "curves", "hidden"))
        dropout = number(architecture, "dropout")
        self.shapes = Shapes(columns, whole(architecture, "bins"), curves)
        self.enter = nn.Linear(columns * curves, hidden)
        self.blocks = nn.ModuleList([_Block(hidden, dropout) for _ in range(whole(architecture, "blocks"))])
        self.dropout = nn.Dropout(dropout)
        self.leave = nn.Linear(hidden, whole(architecture, "horizons"))

    def forward(self, table: Tensor) -> Tensor:
        hidden = self.enter(self.dropout(self.shapes(table)))
        for block in self.blocks:
            hidden = block(hidden)
        found: Tensor = self.leave(nn.functional.silu(hidden))
        return found


class _Block(nn.Module):
    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.inner = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.dropout(self.inner(torch.nn.functional.silu(self.norm(hidden))))


def learner(plan: Plan) -> TorchLearner:
    """A net with fresh weights."""
    plan_bins = bins_of(plan.edges)
    assert plan_bins == whole(plan.architecture, "bins")
    return TorchLearner(Dense, plan, (whole(plan.architecture, "columns"),))


def native(architecture: Architecture, weights: bytes) -> Callable[[Floats], Floats]:
    """A trained net in PyTorch."""
    return native_classifier(Dense(architecture), weights)
