"""Convolutional classifier in PyTorch on the hour sequence: causal convolutions with dilations 1, 2, 4, …, read at the newest
hour, beside the mean and the highest of the day.

Only what the newest hour sees is computed: after each block every second step is left, so that the next block's neighbours lie
twice as far apart. It is the pruned tree of a dilated convolution, at a third of its cost.

Everything is a product of a wide matrix, rows and steps together, with the channels last: on a batch of short sequences that is
faster than a convolution, and nothing is transposed.

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
        self.shapes = Shapes(self.values, whole(architecture, "bins"), curves)
        self.enter = nn.Conv1d(self.values * curves + columns - self.values, hidden, 1)
        self.blocks = nn.ModuleList([_Block(hidden, dropout) for _ in range(whole(architecture, "blocks"))])
        left = whole(architecture, "steps") >> len(self.blocks)
        self.head = nn.Linear((left + 2) * hidden, whole(architecture, "head"))
        self.dropout = nn.Dropout(dropout)
        self.leave = nn.Linear(whole(architecture, "head"), whole(architecture, "horizons"))

    def forward(self, sequence: Tensor) -> Tensor:
        steps, columns = sequence.shape[1:]
        rows = sequence.reshape(-1, columns)  # an hour of a patient each
        presence = rows[:, self.values :]
        # A vital that is left out as a whole comes as NaN: not measured (0), as long ago as can be (1).
        absent = torch.cat([torch.zeros(self.values), torch.ones(self.values)]).to(sequence.device)
        presence = torch.where(torch.isnan(presence), absent, presence)
        values = rows[:, : self.values]
        missing = torch.isnan(values) | (presence[:, : self.values] <= 0.5)
        curves = self.shapes.few(values, missing)
        hidden = nn.functional.linear(
            torch.cat([curves, presence], dim=-1), self.enter.weight.squeeze(-1), self.enter.bias
        ).reshape(-1, steps, self.enter.out_channels)
        day = nn.functional.silu(hidden)
        for block in self.blocks:
            hidden = block(hidden)
        recent = nn.functional.silu(hidden).transpose(1, 2).flatten(1)
        read = self.dropout(torch.cat([recent, day.mean(1), day.amax(1)], dim=1))
        found: Tensor = self.leave(nn.functional.silu(self.head(read)))
        return found


class _Block(nn.Module):
    """[rows, steps, hidden] -> [rows, steps / 2, hidden]: every second step, the newest among them, of the step itself and
    the two before it."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(hidden, hidden, 3, stride=2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        width = hidden.shape[2]
        pairs = nn.functional.silu(hidden).reshape(-1, hidden.shape[1] // 2, 2 * width)
        before = nn.functional.pad(pairs[:, :-1, width:], (0, 0, 1, 0))
        weight = self.conv.weight.transpose(1, 2).flatten(1)  # of the oldest of three steps first
        inner = nn.functional.linear(torch.cat([before, pairs], dim=-1), weight, self.conv.bias)
        return hidden[:, 1::2] + self.dropout(inner)


def learner(plan: Plan) -> TorchLearner:
    """A net with fresh weights."""
    return TorchLearner(Conv, plan, (whole(plan.architecture, "steps"), whole(plan.architecture, "columns")))


def native(architecture: Architecture, weights: bytes) -> Callable[[Floats], Floats]:
    """A trained net in PyTorch."""
    return native_classifier(Conv(architecture), weights)
