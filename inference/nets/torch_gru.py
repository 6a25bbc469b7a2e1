"""Forecaster in PyTorch: one step a minute with a state carried for each patient; what each vital will be, and how surely.

The state holds, of each vital, its newest value and how fresh that is, and a gated recurrent unit (Cho et al. 2014) that sees
them. A forecast is the newest value plus a correction; its scale is learnt. A vital that is missing leaves its newest value as
it was, ever less fresh. A new patient's state is 0: nothing known, every vital at its usual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from inference.nets import Architecture, Floats, number, whole
from inference.nets.torch_classifier import THREADS, exported, restored, saved

LEAST_SCALE: Final = 0.02  # of a spread: an honest monitor rounds to whole beats
_STALER: Final = 0.9  # a step without a value


class Gru(nn.Module):
    """`[rows, vitals]`, `[rows, state]` -> mean and scale `[rows, steps ahead, vitals]`, next state."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.vitals, self.hidden = whole(architecture, "columns"), whole(architecture, "hidden")
        self.ahead = whole(architecture, "ahead")
        seen = 3 * self.vitals
        self.gates = nn.Linear(seen + self.hidden, 2 * self.hidden)
        self.candidate = nn.Linear(seen + self.hidden, self.hidden)
        self.correction = nn.Linear(self.hidden + seen, self.ahead * self.vitals)
        self.scale = nn.Linear(self.hidden + seen, self.ahead * self.vitals)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    @property
    def state(self) -> int:
        """Width of the carried state."""
        return self.hidden + 2 * self.vitals

    def forward(self, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        vitals = self.vitals
        newest, fresh, hidden = state[:, :vitals], state[:, vitals : 2 * vitals], state[:, 2 * vitals :]
        missing = torch.isnan(values)
        change = torch.where(missing, torch.zeros_like(values), values - newest)
        newest = torch.where(missing, newest, values)
        fresh = torch.where(missing, fresh * _STALER, torch.ones_like(fresh))
        seen = torch.cat([change, newest, fresh], dim=1)
        update, reset = torch.sigmoid(self.gates(torch.cat([seen, hidden], dim=1))).chunk(2, dim=1)
        wanted = torch.tanh(self.candidate(torch.cat([seen, reset * hidden], dim=1)))
        hidden = hidden + update * (wanted - hidden)
        read = torch.cat([hidden, newest, change, fresh], dim=1)
        shape = (-1, self.ahead, vitals)
        mean = newest.unsqueeze(1) + self.correction(read).reshape(shape)
        scale = nn.functional.softplus(self.scale(read)).reshape(shape) + LEAST_SCALE
        return mean, scale, torch.cat([newest, fresh, hidden], dim=1)


def negative_log_likelihood(values: Tensor, mean: Tensor, scale: Tensor, freedom: float) -> Tensor:
    """Of Student's t, element by element, without the constant that no parameter changes."""
    square = ((values - mean) / scale) ** 2
    return torch.log(scale) + (freedom + 1) / 2 * torch.log1p(square / freedom)


class GruLearner:
    """Trains on minutes of many patients, `[patients, minutes, vitals]`, NaN = missing, scaled."""

    def __init__(
        self, architecture: Architecture, steps_ahead: tuple[int, ...], seed: int, weight_decay: float
    ) -> None:
        torch.set_num_threads(THREADS)
        torch.manual_seed(seed)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._net = Gru(architecture).to(self._device)
        self._freedom = number(architecture, "freedom")
        self._ahead = steps_ahead
        self._seed = seed
        self._optimiser = torch.optim.AdamW(self._net.parameters(), lr=1e-3, weight_decay=weight_decay)

    @property
    def width(self) -> int:
        """Of the carried state."""
        return int(self._net.state)

    def step(self, minutes: Floats, learning_rate: float) -> float:
        """One step of AdamW on the minutes of some patients; the loss before it."""
        self._net.train()
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate
        self._optimiser.zero_grad(set_to_none=True)
        loss = self._losses(torch.from_numpy(minutes).to(self._device)).nanmean()
        loss.backward()
        nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
        self._optimiser.step()
        return float(loss.detach())

    def losses(self, minutes: Floats) -> Floats:
        """Mean negative log-likelihood by steps ahead and vital, NaN where there was nothing to compare."""
        self._net.eval()
        with torch.inference_mode():
            found: Floats = self._losses(torch.from_numpy(minutes).to(self._device)).cpu().numpy()
        return found

    def _losses(self, minutes: Tensor) -> Tensor:
        state = torch.zeros(len(minutes), self._net.state, device=self._device)
        means, scales = [], []
        for t in range(minutes.shape[1]):
            mean, scale, state = self._net(minutes[:, t], state)
            means.append(mean)
            scales.append(scale)
        mean, scale = torch.stack(means, 1), torch.stack(scales, 1)
        rows = []
        for k, ahead in enumerate(self._ahead):
            came = minutes[:, ahead:]
            known = ~torch.isnan(came)
            value = torch.where(known, came, torch.zeros_like(came))
            each = negative_log_likelihood(value, mean[:, :-ahead, k], scale[:, :-ahead, k], self._freedom)
            total = (each * known).sum((0, 1))
            count = known.sum((0, 1))
            rows.append(torch.where(count > 0, total / count.clamp(min=1), torch.full_like(total, torch.nan)))
        return torch.stack(rows)

    def forecasts(self, minutes: Floats) -> tuple[Floats, Floats]:
        """Mean and scale after each minute, `[patients, minutes, steps ahead, vitals]`."""
        self._net.eval()
        inputs = torch.from_numpy(minutes).to(self._device)
        means, scales = [], []
        with torch.inference_mode():
            state = torch.zeros(len(inputs), self._net.state, device=self._device)
            for t in range(inputs.shape[1]):
                mean, scale, state = self._net(inputs[:, t], state)
                means.append(mean)
                scales.append(scale)
        return torch.stack(means, 1).cpu().numpy(), torch.stack(scales, 1).cpu().numpy()

    def state(self) -> dict[str, Any]:
        """Weights and optimiser, for a checkpoint."""
        found = {f"net.{name}": tensor.detach().cpu().numpy().copy() for name, tensor in self._net.state_dict().items()}
        for key, kept in self._optimiser.state_dict()["state"].items():
            found.update({f"optimiser.{key}.{part}": np.array(t.detach().cpu().numpy()) for part, t in kept.items()})
        return found

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self._net.load_state_dict(
            {n.removeprefix("net."): torch.from_numpy(a.copy()) for n, a in state.items() if n.startswith("net.")}
        )
        kept: dict[int, dict[str, Tensor]] = {}
        for name, array in state.items():
            if name.startswith("optimiser."):
                _, key, part = name.split(".", 2)
                kept.setdefault(int(key), {})[part] = torch.from_numpy(np.array(array))
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": kept})

    def onnx(self) -> bytes:
        """The graph `input`, `state` -> `mean`, `scale`, `next_state`, with its weights inside."""
        example = [np.zeros((3, self._net.vitals), np.float32), np.zeros((3, self._net.state), np.float32)]
        return exported(self._net, example, ["input", "state"], ["mean", "scale", "next_state"])

    def weights(self) -> bytes:
        """As safetensors."""
        return saved(self._net)


def native(architecture: Architecture, weights: bytes) -> Callable[[Floats, Floats], tuple[Floats, Floats, Floats]]:
    """A trained net in PyTorch: `f(inputs, state) -> (mean, scale, next_state)`."""
    torch.set_num_threads(THREADS)
    ready = restored(Gru(architecture), weights)

    def run(inputs: Floats, state: Floats) -> tuple[Floats, Floats, Floats]:
        with torch.inference_mode():
            mean, scale, following = ready(torch.from_numpy(inputs), torch.from_numpy(state))
        return mean.numpy(), scale.numpy(), following.numpy()

    return run
