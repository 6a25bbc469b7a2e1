"""Convolutional classifier in PyTorch on the hour sequence: causal convolutions with dilations 1, 2, 4, …, read at the newest
hour, beside the mean and the highest of the day.

Only what the newest hour sees is computed: after each block every second step is left, so that the next block's neighbours lie
twice as far apart. It is the pruned tree of a dilated convolution, at a third of its cost.

The first third of the channels are values (`CHANNELS` of the feature set), the rest say what was measured and how long ago.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from inference.nets import Architecture, Floats, Plan, number, whole
from inference.nets.torch_classifier import Shapes, TorchLearner, native_classifier


class Conv(nn.Module):
    """[rows, steps, columns] -> [rows, horizons]."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        columns, curves, hidden = (whole(architecture, key) for key in ("columns", "curves", "hidden"))
        dropout = number(architecture, "dropout")
        self.values = columns // 3
        self.curves = self.values * curves
        self.shapes = Shapes(self.values, whole(architecture, "bins"), curves)
        self.enter = nn.Conv1d(self.values * curves + columns - self.values, hidden, 1)
        self.blocks = nn.ModuleList([_Block(hidden, dropout) for _ in range(whole(architecture, "blocks"))])
        left = whole(architecture, "steps") >> len(self.blocks)
        self.head = nn.Linear((left + 2) * hidden, whole(architecture, "head"))
        self.dropout = nn.Dropout(dropout)
        self.leave = nn.Linear(whole(architecture, "head"), whole(architecture, "horizons"))

    def forward(self, sequence: Tensor) -> Tensor:
        presence = sequence[:, :, self.values :]
        # A vital that is left out as a whole comes as NaN: not measured (0), as long ago as can be (1).
        absent = torch.cat([torch.zeros(self.values), torch.ones(self.values)]).to(sequence.device)
        presence = torch.where(torch.isnan(presence), absent, presence)
        measured = presence[:, :, : self.values]
        values = sequence[:, :, : self.values]
        values = torch.where(measured > 0.5, values, torch.full_like(values, torch.nan))
        steps = sequence.shape[1]
        curves = self.shapes(values.reshape(-1, self.values)).reshape(-1, steps, self.curves)
        hidden = self.enter(torch.cat([curves, presence], dim=-1).transpose(1, 2))
        day = nn.functional.silu(hidden)
        for block in self.blocks:
            hidden = block(hidden)
        recent = nn.functional.silu(hidden).flatten(1)
        read = self.dropout(torch.cat([recent, day.mean(-1), day.amax(-1)], dim=1))
        found: Tensor = self.leave(nn.functional.silu(self.head(read)))
        return found


class _Block(nn.Module):
    """[rows, hidden, steps] -> [rows, hidden, steps / 2]: every second step, the newest among them, of the step itself and
    the two before it."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(hidden, hidden, 3, stride=2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        past = nn.functional.pad(nn.functional.silu(hidden), (1, 0))
        return hidden[:, :, 1::2] + self.dropout(self.conv(past))


def learner(plan: Plan) -> TorchLearner:
    """A net with fresh weights."""
    return TorchLearner(Conv, plan, (whole(plan.architecture, "steps"), whole(plan.architecture, "columns")))


def native(architecture: Architecture, weights: bytes) -> Callable[[Floats], Floats]:
    """A trained net in PyTorch."""
    return native_classifier(Conv(architecture), weights)
