"""PCA residual: what does not go together stands out, and the metric that does not fit has the largest part."""

from __future__ import annotations

import numpy as np
import pytest

from contracts.errors import InvalidInput
from inference.detectors.pca_residual import INPUTS, Directions, PcaResidual, fit, residuals
from tests.inference.test_personal_baseline import START, windows


def population(rows: int = 3000) -> np.typing.NDArray[np.float32]:
    """Pressures go together, pulse and breath go together, the rest goes its own way."""
    rng = np.random.default_rng(1)
    pressure, drive = rng.normal(size=(2, rows))
    own = rng.normal(size=(7, rows)) * 0.2
    columns = [
        80 + 10 * (drive + own[0]), 97 + own[1], 36.9 + 0.3 * own[2], 120 + 14 * (pressure + own[3]),
        85 + 11 * (pressure + own[4]), 65 + 10 * (pressure + own[5]), 17 + 3 * (drive + own[6]),
    ]  # fmt: skip
    return np.stack(columns, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> Directions:
    return fit(population())


def test_the_directions_are_those_of_the_population(model: Directions) -> None:
    assert model.axes @ model.axes.T == pytest.approx(np.eye(2), abs=1e-5)
    pressures = [INPUTS.index(m) for m in ("systolic_bp", "mean_bp", "diastolic_bp")]
    assert np.abs(model.axes[0, pressures]).min() > 0.5


def test_residuals_are_those_of_the_projection(model: Directions) -> None:
    value = population(50).T
    scaled = (value - model.centre[:, None]) / model.spread[:, None]
    expected = scaled - model.axes.T @ (model.axes @ scaled)
    assert residuals(value, model) == pytest.approx(expected**2, abs=0.1)  # the ridge moves them a little


def test_what_goes_together_scores_low_and_what_does_not_says_which(model: Directions) -> None:
    usual = {"heart_rate": 80.0, "spo2": 97.0, "temperature": 36.9, "respiratory_rate": 17.0}
    high = {**usual, "systolic_bp": 148.0, "mean_bp": 107.0, "diastolic_bp": 85.0}  # high, but together
    odd = {**usual, "systolic_bp": 148.0, "mean_bp": 85.0, "diastolic_bp": 45.0}
    scorer = PcaResidual(model)
    found = scorer.score(windows(["a", "b"], [START] * 2, **{m: [high[m], odd[m]] for m in INPUTS}))
    assert found.score[0] < 0.5
    assert found.score[1] > 4 * found.score[0]
    assert max(found.contribution, key=lambda m: found.contribution[m][1]) in {"systolic_bp", "diastolic_bp"}


def test_a_missing_metric_has_no_part_and_too_many_missing_give_no_score(model: Directions) -> None:
    scorer = PcaResidual(model)
    found = scorer.score(
        windows(["a"], [START], heart_rate=[120.0], spo2=[97.0], respiratory_rate=[17.0], systolic_bp=[120.0])
    )
    assert np.isfinite(found.score[0])
    assert found.contribution["mean_bp"][0] == 0
    assert found.completeness is not None
    assert found.completeness[0] == pytest.approx(4 / 7)
    few = PcaResidual(model).score(windows(["a"], [START], heart_rate=[120.0], spo2=[97.0], respiratory_rate=[17.0]))
    assert np.isnan(few.score[0])


def test_too_few_whole_rows_are_refused() -> None:
    with pytest.raises(InvalidInput, match="100 rows"):
        fit(np.full((500, len(INPUTS)), np.nan, dtype=np.float32))
