"""What the PyTorch classifiers share: the layer that reads values which may be missing, training, export."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from contracts.errors import InvalidInput
from inference.nets import Architecture, Floats, Plan

# Of torch on a CPU. More win little on nets this small, lose a factor of ten where the cores are busy with something else, and
# would give other bits on other machines.
THREADS: Final = 1

_ROWS_AT_ONCE: Final = 16_384
_BETAS: Final = (0.9, 0.99)
_FAR: Final = 1e6  # spreads


class Shapes(nn.Module):
    """Each column through its own small curves: piecewise linear between the column's quantiles (Gorishniy et al. 2022),
    `curves` of them, and as many learnt numbers that stand for "not measured"."""

    def __init__(self, columns: int, bins: int, curves: int) -> None:
        super().__init__()
        self.register_buffer("left", torch.zeros(columns, bins))
        self.register_buffer("per_width", torch.ones(columns, bins))
        self.rise = nn.Parameter(torch.randn(columns, bins, curves) * 0.3)
        self.start = nn.Parameter(torch.zeros(columns, 1, curves))
        self.absent = nn.Parameter(torch.zeros(columns, 1, curves))

    def fit(self, edges: Floats) -> None:
        """Take the quantiles, shape (columns, bins + 1)."""
        left = torch.from_numpy(np.ascontiguousarray(edges[:, :-1]))
        width = torch.from_numpy(np.maximum(np.diff(edges, axis=1), np.float32(1e-3)))
        with torch.no_grad():
            self.left.copy_(left)
            self.per_width.copy_(1.0 / width)

    def forward(self, values: Tensor) -> Tensor:
        """[rows, columns] -> [rows, columns * curves]."""
        across = values.transpose(0, 1).unsqueeze(-1)
        missing = torch.isnan(across)
        known = torch.where(missing, torch.zeros_like(across), across)
        along = torch.clamp((known - self.left.unsqueeze(1)) * self.per_width.unsqueeze(1), 0.0, 1.0)
        curves = torch.where(missing, self.absent, torch.bmm(along, self.rise) + self.start)
        return curves.transpose(0, 1).flatten(1)

    def few(self, values: Tensor, missing: Tensor) -> Tensor:
        """As `forward`, for few columns and very many rows: two matrix products and no transposition. `missing`, of the shape of
        `values`, says what was not measured."""
        columns, bins, _ = self.rise.shape
        gone = missing.to(values.dtype)
        known = torch.where(missing, torch.zeros_like(values), values)
        # Each value beside each left edge; what is missing far to the left of all.
        each = torch.eye(columns, device=values.device).repeat_interleave(bins, dim=1)
        off = torch.cat([known, gone], dim=1) @ torch.cat([each, -_FAR * each]) - self.left.flatten()
        along = torch.clamp(off * self.per_width.flatten(), 0.0, 1.0)
        of_missing = torch.block_diag(*(self.absent - self.start))
        return torch.cat([along, gone], dim=1) @ torch.cat([torch.block_diag(*self.rise), of_missing]) + self.start.flatten()


def bins_of(edges: Floats) -> int:
    """How many bins the quantiles make. Raises `InvalidInput` for edges of another form."""
    if edges.ndim != 2 or edges.shape[1] < 2 or not np.isfinite(edges).all():
        raise InvalidInput("edges", "must be finite, of shape (columns, bins + 1)")
    return int(edges.shape[1]) - 1


class TorchLearner:
    """See `inference.nets.Learner`. Trains on the GPU where there is one."""

    def __init__(self, build: Callable[[Architecture], nn.Module], plan: Plan, example: tuple[int, ...]) -> None:
        """`example`: the shape of one row of input."""
        torch.set_num_threads(THREADS)
        torch.manual_seed(plan.seed)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        net = build(plan.architecture)
        shapes = getattr(net, "shapes", None)
        if not isinstance(shapes, Shapes):
            raise InvalidInput("net", "has no layer `shapes` that reads its columns")
        shapes.fit(plan.edges)
        self._net = net.to(self._device)
        self._plan = plan
        self._example = example
        self._optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, betas=_BETAS, weight_decay=plan.weight_decay)

    def begin(self, epoch: int) -> None:
        torch.manual_seed(self._plan.seed * 10_007 + epoch)

    def step(self, inputs: Floats, targets: Floats, learning_rate: float) -> float:
        self._net.train()
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate
        self._optimiser.zero_grad(set_to_none=True)
        logits = self._net(torch.from_numpy(inputs).to(self._device))
        loss = _loss(logits, torch.from_numpy(targets).to(self._device), self._plan)
        loss.backward()
        nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
        self._optimiser.step()
        return float(loss.detach())

    def logits(self, inputs: Floats) -> Floats:
        self._net.eval()
        with torch.inference_mode():
            parts = [
                self._net(torch.from_numpy(inputs[start : start + _ROWS_AT_ONCE]).to(self._device)).cpu().numpy()
                for start in range(0, len(inputs), _ROWS_AT_ONCE)
            ]
        return np.concatenate(parts).astype(np.float32)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        found = {f"net.{name}": tensor.detach().cpu().numpy().copy() for name, tensor in self._net.state_dict().items()}
        for number, kept in self._optimiser.state_dict()["state"].items():
            for name, tensor in kept.items():
                found[f"optimiser.{number}.{name}"] = np.array(tensor.detach().cpu().numpy(), copy=True)
        return found

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        tensors = {n.removeprefix("net."): torch.from_numpy(a.copy()) for n, a in state.items() if n.startswith("net.")}
        try:
            self._net.load_state_dict(tensors)
        except RuntimeError as error:
            raise InvalidInput("checkpoint", "is of a net with another shape") from error
        document = self._optimiser.state_dict()
        kept: dict[int, dict[str, Tensor]] = {}
        for name, array in state.items():
            if name.startswith("optimiser."):
                _, number, part = name.split(".", 2)
                kept.setdefault(int(number), {})[part] = torch.from_numpy(np.array(array, copy=True))
        self._optimiser.load_state_dict({**document, "state": kept})

    def onnx(self) -> bytes:
        return exported(self._net, [np.zeros((3, *self._example), dtype=np.float32)], ["input"], ["logits"])

    def weights(self) -> bytes:
        return saved(self._net)


def exported(net: nn.Module, example: list[Floats], inputs: list[str], outputs: list[str]) -> bytes:
    """The ONNX graph of `net`, weights inside. The first dimension of each input is free."""
    net = net.eval().cpu()
    rows = torch.export.Dim("rows", min=2)
    for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.utils.flop_counter"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        program = torch.onnx.export(
            net,
            tuple(torch.from_numpy(array) for array in example),
            input_names=inputs,
            output_names=outputs,
            dynamo=True,
            dynamic_shapes=tuple({0: rows} for _ in example),
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise InvalidInput("net", "cannot be exported to ONNX")
    buffer = io.BytesIO()
    program.save(buffer)
    model = onnx.load_from_string(buffer.getvalue())
    strip(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def strip(model: Any) -> None:
    """Take out what an exporter notes about source files and itself: bytes that differ from machine to machine."""
    model.ClearField("metadata_props")
    model.doc_string = ""
    model.graph.doc_string = ""
    model.graph.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    for part in (
        *model.graph.node,
        *model.graph.input,
        *model.graph.output,
        *model.graph.initializer,
        *model.functions,
    ):
        part.doc_string = ""
        if hasattr(part, "metadata_props"):
            part.ClearField("metadata_props")
    onnx.checker.check_model(model)


def saved(net: nn.Module) -> bytes:
    """Its weights as safetensors."""
    content: bytes = save_tensors({name: t.detach().cpu().contiguous() for name, t in net.state_dict().items()})
    return content


def restored(net: nn.Module, weights: bytes) -> nn.Module:
    """`net` with these weights, ready to run. Raises `InvalidInput` when they are of another net."""
    try:
        net.load_state_dict(load_tensors(weights))
    except Exception as error:  # safetensors and torch raise various kinds for damaged or foreign weights
        raise InvalidInput("weights", "are not those of the net that the manifest describes") from error
    return net.eval()


def native_classifier(net: nn.Module, weights: bytes) -> Callable[[Floats], Floats]:
    """A function from inputs to logits."""
    torch.set_num_threads(THREADS)
    ready = restored(net, weights)

    def run(inputs: Floats) -> Floats:
        with torch.inference_mode():
            found: Floats = ready(torch.from_numpy(np.ascontiguousarray(inputs, dtype=np.float32))).numpy()
        return found

    return run


def _loss(logits: Tensor, targets: Tensor, plan: Plan) -> Tensor:
    known = ~torch.isnan(targets)
    wanted = torch.where(known, targets, torch.zeros_like(targets))
    each = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    weight = torch.where(wanted > 0.5, plan.loss.positive_weight, 1.0) * known
    if plan.loss.focal:
        right = torch.exp(-each)
        weight = weight * (1.0 - right) ** plan.loss.focal
    return (each * weight).sum() / known.sum().clamp(min=1)
