"""Statistics of columns against plain Python, and the same bits in any company."""

from __future__ import annotations

import statistics

import numpy as np
import numpy.typing as npt
import pytest

from contracts.windows import STATISTICS
from stream_processors.statistics import FIELDS, Moments, combine, features, summarise

Floats = npt.NDArray[np.float32]


def window(metrics: int, patients: int, *, missing: float, seed: int = 0, seconds: int = 60) -> Floats:
    rng = np.random.default_rng(seed)
    values = rng.normal(80, 5, (seconds, metrics, patients)).astype(np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    return values


def table_of(values: Floats, questionable: npt.NDArray[np.uint8] | None = None) -> Floats:
    none = np.zeros(values.shape[1:], dtype=np.uint8)
    moments, median = summarise(values, none if questionable is None else questionable)
    return features(moments, median, np.full(values.shape[1], 60.0))


def doubles(values: Floats) -> npt.NDArray[np.float64]:
    moments, median = summarise(np.ascontiguousarray(values), np.zeros(values.shape[1:], dtype=np.uint8))
    return np.stack([*moments, median])


def column(table: Floats, metric: int, patient: int) -> dict[str, float]:
    return dict(zip(STATISTICS, table[:, metric, patient].tolist(), strict=True))


@pytest.mark.parametrize("missing", [0, 0.3, 0.97])
def test_statistics_equal_those_of_plain_python(missing: float) -> None:
    values = window(3, 40, missing=missing)
    questionable = np.arange(120, dtype=np.uint8).reshape(3, 40) % 2
    table = table_of(values, questionable)
    for metric in range(3):
        for patient in range(40):
            found = column(table, metric, patient)
            times = [t for t in range(60) if not np.isnan(values[t, metric, patient])]
            xs = [float(values[t, metric, patient]) for t in times]
            if not xs:
                assert all(np.isnan(v) for v in found.values())
                continue
            expected = {
                "count": len(xs), "coverage": len(xs) / 60, "good": (len(xs) - questionable[metric, patient]) / len(xs),
                "mean": statistics.fmean(xs), "min": min(xs), "max": max(xs), "last": xs[-1],
                "median": statistics.median(xs),
                "std": statistics.stdev(xs) if len(xs) > 1 else float("nan"),
                "slope": statistics.linear_regression(times, xs).slope * 60 if len(xs) > 1 else float("nan"),
            }  # fmt: skip
            assert found == pytest.approx(expected, rel=2e-6, abs=1e-5, nan_ok=True)


def test_a_constant_signal_has_no_spread_at_all() -> None:
    values = np.full((60, 1, 3), 36.7, dtype=np.float32)
    found = column(table_of(values), 0, 1)
    assert (found["std"], found["slope"]) == (0, 0)
    assert found["mean"] == found["median"] == np.float32(36.7)


def test_small_spread_beside_a_large_mean_survives() -> None:
    values = np.full((60, 1, 1), 1000, dtype=np.float32)
    values[::2] = np.nextafter(np.float32(1000), np.float32(2000))
    assert column(table_of(values), 0, 0)["std"] == pytest.approx(statistics.stdev(values[:, 0, 0].tolist()), rel=1e-5)


@pytest.mark.parametrize("missing", [0, 0.3])
@pytest.mark.parametrize("patients", [1, 2, 7, 8, 15, 16, 17, 64, 1025, 3000])
def test_a_patient_has_the_same_bits_in_any_company(patients: int, missing: float) -> None:
    """The point of summing second by second. The last patient of a crowd, then alone."""
    # Of very different size, so that sums of doubles are not exact: with plain vital signs any order gives the same sum.
    values = np.exp(window(2, patients, missing=missing, seed=patients) - 80)
    # As doubles, before they are rounded to what is sent: rounding hides nearly every difference, but not all.
    crowd = doubles(values)
    assert crowd[:, :, -1:].tobytes() == doubles(values[:, :, -1:]).tobytes()
    assert crowd[:, 1:, -1:].tobytes() == doubles(values[:, 1:, -1:]).tobytes()
    assert crowd[:, :, :1].tobytes() == doubles(values[:, :, :1]).tobytes()


def minute(values: Floats) -> Moments:
    moments, _ = summarise(values, np.zeros(values.shape[1:], dtype=np.uint8))
    empty = moments.count == 0
    return Moments(**{name: np.where(empty, 0.0, field) for name, field in zip(FIELDS, moments, strict=True)})


@pytest.mark.parametrize("missing", [0, 0.5, 0.985])
def test_five_minutes_combined_equal_five_minutes_at_once(missing: float) -> None:
    values = window(1, 50, missing=missing, seconds=300)
    combined = combine([minute(np.ascontiguousarray(values[at : at + 60])) for at in range(0, 300, 60)])
    whole = minute(values)
    for table, name in ((combined, "combined"), (whole, "at once")):
        assert table.count.sum() == np.count_nonzero(~np.isnan(values)), name
    expected = np.full(1, 300.0)
    np.testing.assert_allclose(features(combined, None, expected), features(whole, None, expected), rtol=1e-5, atol=1e-5)


def test_minutes_without_a_value_leave_the_others_as_they_are() -> None:
    values = np.full((300, 1, 1), np.nan, dtype=np.float32)
    values[60:120, 0, 0] = 80
    combined = combine([minute(np.ascontiguousarray(values[at : at + 60])) for at in range(0, 300, 60)])
    found = column(features(combined, None, np.full(1, 300.0)), 0, 0)
    assert (found["count"], found["mean"], found["std"], found["min"], found["last"]) == (60, 80, 0, 80, 80)
