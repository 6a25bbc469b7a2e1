"""The convolutional nets: by matrix products they say what convolutions say, and a lost vital is one that was not measured."""

from __future__ import annotations

import importlib
import os

import numpy as np
import pytest

for package in ("torch", "onnx"):
    pytest.importorskip(package, reason="extra `train` is not installed")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import torch  # noqa: E402
from torch import nn  # noqa: E402

from inference.features import CHANNELS, HOURS, METRICS  # noqa: E402
from inference.nets import Floats, Plan  # noqa: E402
from inference.nets.torch_classifier import Shapes  # noqa: E402
from inference.nets.torch_conv import Conv  # noqa: E402
from inference.train.graphs import opened  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")

VITALS = len(METRICS)
PLAN = Plan(
    architecture={
        "columns": len(CHANNELS), "steps": HOURS, "horizons": 3, "bins": 4, "curves": 2, "hidden": 8, "blocks": 3, "head": 6,
        "dropout": 0.0,
    },
    edges=np.sort(np.random.default_rng(3).normal(size=(VITALS, 5)).astype(np.float32), axis=1),
)  # fmt: skip


@pytest.fixture
def days() -> Floats:
    """Days of 20 patients as the feature set gives them, with gaps."""
    rng = np.random.default_rng(1)
    found = rng.normal(size=(20, HOURS, len(CHANNELS))).astype(np.float32)
    measured = rng.random((20, HOURS, VITALS)) < 0.7
    found[..., :VITALS] *= measured
    found[..., VITALS : 2 * VITALS] = measured
    found[..., 2 * VITALS :] = rng.random((20, HOURS, VITALS))
    return found


@pytest.mark.parametrize(("net", "package"), [("torch_conv", "torch"), ("keras_conv", "tensorflow")])
def test_a_lost_vital_is_one_never_measured_in_the_net_and_in_its_graph(net: str, package: str, days: Floats) -> None:
    pytest.importorskip(package, reason="extra `train` is not installed")
    learner = importlib.import_module(f"inference.nets.{net}").learner(PLAN)
    graph = opened(learner.onnx())
    lost, never = days.copy(), days.copy()
    pulse = np.arange(3) * VITALS  # value, measured, age
    lost[..., pulse] = np.nan
    never[..., pulse] = (0, 0, 1)
    wanted = learner.logits(never)
    assert np.abs(wanted - learner.logits(days)).max() > 1e-3
    np.testing.assert_array_equal(learner.logits(lost), wanted)
    for rows in (days, lost):
        np.testing.assert_allclose(graph({"input": rows})["logits"], learner.logits(rows), atol=1e-5)


def test_matrix_products_say_what_convolutions_say(days: Floats) -> None:
    torch.manual_seed(0)
    net = Conv(PLAN.architecture).eval()
    net.shapes.fit(PLAN.edges)
    nn.init.normal_(net.shapes.absent)
    with torch.inference_mode():
        rows = torch.from_numpy(days)
        presence = rows[..., VITALS:]
        values = torch.where(presence[..., :VITALS] > 0.5, rows[..., :VITALS], torch.nan)
        curves = net.shapes(values.reshape(-1, VITALS)).reshape(len(days), HOURS, -1)
        hidden = net.enter(torch.cat([curves, presence], dim=-1).transpose(1, 2))
        day = nn.functional.silu(hidden)
        for block in net.blocks:
            hidden = hidden[:, :, 1::2] + block.conv(nn.functional.pad(nn.functional.silu(hidden), (1, 0)))
        read = torch.cat([nn.functional.silu(hidden).flatten(1), day.mean(-1), day.amax(-1)], dim=1)
        plain = net.leave(nn.functional.silu(net.head(read)))
        np.testing.assert_allclose(net(rows).numpy(), plain.numpy(), atol=1e-5)


def test_curves_of_few_columns_are_those_of_many() -> None:
    torch.manual_seed(0)
    shapes = Shapes(VITALS, 4, 2)
    shapes.fit(PLAN.edges)
    nn.init.normal_(shapes.absent)
    values = torch.randn(50, VITALS) * 3
    missing = torch.rand(50, VITALS) < 0.3
    expected = shapes(torch.where(missing, torch.nan, values))
    torch.testing.assert_close(shapes.few(values, missing), expected, atol=1e-5, rtol=0)
