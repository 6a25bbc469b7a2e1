"""LightGBM's trees say in ONNX Runtime what they say in LightGBM, missing values and thresholds on the edge included."""

from __future__ import annotations

import numpy as np
import pytest

lightgbm = pytest.importorskip("lightgbm", reason="extra `train` is not installed")
pytest.importorskip("onnx", reason="extra `train` is not installed")

from inference.train.graphs import opened  # noqa: E402
from inference.train.trees_graph import trees_graph  # noqa: E402


def table(seed: int, rows: int = 2000) -> np.typing.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    found = np.round(rng.normal(size=(rows, 5)), 1).astype(np.float32)  # equal values meet thresholds
    found[rng.random(found.shape) < 0.2] = np.nan
    return found


@pytest.mark.parametrize("missing_in_training", [True, False])
def test_every_row_gets_the_same_score(missing_in_training: bool) -> None:
    train = table(0) if missing_in_training else np.nan_to_num(table(0))
    label = (np.nan_to_num(train[:, 0]) * 2 + np.nan_to_num(train[:, 1]) > 1).astype(int)
    booster = lightgbm.train({"verbose": -1, "num_threads": 1, "objective": "binary"}, lightgbm.Dataset(train, label), 40)
    rows = np.concatenate([table(1), np.full((1, 5), np.nan, np.float32), np.zeros((1, 5), np.float32)])
    theirs = booster.predict(rows, raw_score=True, num_threads=1)
    ours = opened(trees_graph(booster.model_to_string()))({"input": rows})["logits"][:, 0]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert np.unique(ours).size > 100


def test_a_split_between_missing_and_there_is_kept() -> None:
    """Its threshold is infinite: whatever is there lies below it."""
    train = table(0)
    label = np.isnan(train[:, 4]).astype(int)
    booster = lightgbm.train({"verbose": -1, "num_threads": 1, "objective": "binary"}, lightgbm.Dataset(train, label), 5)
    assert "threshold=inf" in booster.model_to_string()
    rows = np.array([[0, 0, 0, 0, v] for v in (np.nan, 3, -1e30, 3e38)], dtype=np.float32)
    ours = opened(trees_graph(booster.model_to_string()))({"input": rows})["logits"][:, 0]
    np.testing.assert_allclose(ours, booster.predict(rows, raw_score=True, num_threads=1), atol=1e-5)
    assert ours[0] > ours[1] == ours[2] == ours[3]
