"""Areas under curves: against a well-kept library, with ties, weights and rows without a score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.evaluate.ranking import auprc, auroc, bootstrap, drawn, ranked

pairs = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: 0 < sum(label for _, label in rows) < len(rows)
)


def columns(rows: list[tuple[int, bool]]) -> tuple[np.typing.NDArray[np.float64], np.typing.NDArray[np.uint8]]:
    return np.array([s for s, _ in rows], dtype=np.float64), np.array([y for _, y in rows], dtype=np.uint8)


@settings(max_examples=100, deadline=None)
@given(rows=pairs)
def test_auroc_is_the_chance_that_a_pair_is_in_the_right_order(rows: list[tuple[int, bool]]) -> None:
    score, label = columns(rows)
    ill, well = score[label == 1], score[label == 0]
    right = (ill[:, None] > well[None]).sum() + 0.5 * (ill[:, None] == well[None]).sum()
    assert auroc(score, label) == pytest.approx(right / (len(ill) * len(well)))


@settings(max_examples=100, deadline=None)
@given(rows=pairs)
def test_average_precision_is_the_sum_over_thresholds(rows: list[tuple[int, bool]]) -> None:
    score, label = columns(rows)
    expected, before = 0.0, 0.0
    for threshold in sorted(set(score.tolist()), reverse=True):
        alarmed = score >= threshold
        recall = label[alarmed].sum() / label.sum()
        expected += (recall - before) * label[alarmed].mean()
        before = recall
    assert auprc(score, label) == pytest.approx(expected)


def test_a_well_kept_library_says_the_same() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    score, label = np.round(rng.normal(size=2000), 1), (rng.random(2000) < 0.1).astype(np.uint8)
    assert auroc(score, label) == pytest.approx(metrics.roc_auc_score(label, score))
    assert auprc(score, label) == pytest.approx(metrics.average_precision_score(label, score))
    weight = rng.integers(0, 4, 2000).astype(np.float64)
    roc, precision = ranked(score, label).areas(weight)
    assert roc == pytest.approx(metrics.roc_auc_score(label, score, sample_weight=weight))
    assert precision == pytest.approx(metrics.average_precision_score(label, score, sample_weight=weight))


def test_a_row_without_a_score_ranks_below_all_others() -> None:
    label = np.array([1, 0, 0], dtype=np.uint8)
    assert auroc(np.array([np.nan, -5.0, 3.0]), label) == 0
    assert auroc(np.array([np.nan, np.nan, 3.0]), label) == 0.25


def test_with_one_class_there_is_no_area() -> None:
    assert np.isnan(auroc(np.array([1.0, 2.0]), np.array([1, 1], dtype=np.uint8)))
    assert np.isnan(auprc(np.array([]), np.array([], dtype=np.uint8)))


def test_intervals_draw_whole_patients() -> None:
    """Ten rows of a patient say no more than one: repeating rows within patients leaves the interval as it was."""
    rng = np.random.default_rng(4)
    label = (rng.random(80) < 0.3).astype(np.uint8)
    score = rng.normal(size=80) + label
    patient = np.arange(80, dtype=np.int32)
    once = bootstrap(score, label, patient, 80, draws=200, seed=3)
    ten = bootstrap(np.repeat(score, 10), np.repeat(label, 10), np.repeat(patient, 10), 80, draws=200, seed=3)
    assert ten.auroc == pytest.approx(once.auroc)
    assert once.auroc[0] < auroc(score, label) < once.auroc[1]
    assert drawn(80, 5, 1).sum(axis=1).tolist() == [80] * 5
