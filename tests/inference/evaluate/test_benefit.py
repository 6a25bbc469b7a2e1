"""The decision curve: perfect foresight is worth the prevalence, silence nothing, and acting always what it costs."""

from __future__ import annotations

import numpy as np
import pytest

from inference.evaluate.benefit import THRESHOLDS, decision_curve

LABEL = np.array([1] * 5 + [0] * 95, dtype=np.uint8)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_the_ends_of_the_curve(threshold: float) -> None:
    key = f"{threshold:g}"
    always = decision_curve(np.ones(100), LABEL)[key]
    assert decision_curve(LABEL.astype(np.float64), LABEL)[key].net == pytest.approx(0.05)
    assert decision_curve(np.full(100, np.nan), LABEL)[key].net == 0
    assert always.net == pytest.approx(always.everybody)
    assert always.everybody == pytest.approx(0.05 - 0.95 * threshold / (1 - threshold))


def test_a_false_alarm_costs_by_the_odds_of_the_threshold() -> None:
    said = np.zeros(100)
    said[:4], said[50:60] = 0.3, 0.3  # four events of five, and ten times in vain
    found = decision_curve(said, LABEL)
    assert found["0.2"].net == pytest.approx(0.04 - 0.10 * 0.25)
    assert found["0.01"].net == pytest.approx(0.04 - 0.10 / 99)
