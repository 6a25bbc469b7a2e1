"""Scaling: what is missing does not count, curves have rising edges, and training scales exactly as serving does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("safetensors", reason="extra `train` is not installed")

from inference.features import FEATURES
from inference.serving.inputs import Inputs
from inference.train.classifier import columns_of
from inference.train.scaling import CLIP, edges, robust
from tests.inference.bundle_builder import manifest


def test_missing_values_do_not_count_and_an_empty_column_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    column = rng.normal(10, 3, 5000).astype(np.float32)
    holes = np.where(rng.random(5000) < 0.5, np.float32(np.nan), column)
    scaling = robust(np.stack([holes, np.full(5000, np.nan, np.float32)], axis=1))
    assert abs(scaling.centre[0] - 10) < 0.2
    assert abs(scaling.spread[0] - 3) < 0.2
    assert (scaling.centre[1], scaling.spread[1]) == (0, 1)


@given(arrays(np.float32, (50, 2), elements=st.sampled_from([0.0, 1.0, 2.0, 5.0, float("nan")])))
def test_edges_rise_even_where_most_values_are_equal(columns: np.typing.NDArray[np.float32]) -> None:
    found = edges(columns, 6)
    assert found.shape == (2, 7)
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=1) > 0).all()


def test_training_scales_bit_for_bit_as_serving_does() -> None:
    rng = np.random.default_rng(1)
    table = rng.normal(50, 40, (500, len(FEATURES))).astype(np.float32)
    table[rng.random(table.shape) < 0.3] = np.nan
    scaling = robust(table)
    made = manifest(inputs=columns_of(FEATURES, scaling), input="table", clip=CLIP, missing="nan", steps=1)
    np.testing.assert_array_equal(Inputs(made).array(table), scaling.apply(table))
