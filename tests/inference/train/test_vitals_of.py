"""Every column of the feature set knows of which vitals it is made: explanations and lost sensors go by it."""

from __future__ import annotations

import pytest

from contracts.errors import InvalidInput
from inference.features import CHANNELS, FEATURES, METRICS
from inference.train.vitals_of import membership, vitals_of


@pytest.mark.parametrize("columns", [FEATURES, CHANNELS, METRICS])
def test_every_column_is_made_of_vitals_and_every_vital_has_columns(columns: tuple[str, ...]) -> None:
    found = membership(columns)
    assert found.any(axis=0).all()
    assert found.any(axis=1).all()


def test_a_column_that_mixes_vitals_names_all_of_them() -> None:
    assert vitals_of("shock_index") == ("heart_rate", "systolic_bp")
    assert vitals_of("news2.heart_rate") == ("heart_rate",)
    assert vitals_of("spo2.mean_6h") == ("spo2",)
    with pytest.raises(InvalidInput, match="age"):
        vitals_of("age")
