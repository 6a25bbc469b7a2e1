"""Downsampling, against a plain one."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contracts.readings import Quality
from infra.runtime.series import SeriesPoints, downsample

Sample = tuple[int, float, int]

samples = st.lists(
    st.tuples(
        st.integers(0, 9_999),
        st.one_of(st.floats(-1e6, 1e6, width=32), st.just(math.nan)),
        st.integers(0, 3),
    ),
    max_size=60,
    unique_by=lambda sample: sample[0],
).map(sorted)


def sampled(rows: list[Sample], points: int) -> SeriesPoints:
    """Ten seconds of rows."""
    return downsample(
        np.array([r[0] for r in rows], dtype=np.int64),
        np.array([r[1] for r in rows], dtype=np.float32),
        np.array([r[2] for r in rows], dtype=np.uint8),
        0,
        10_000,
        points,
    )


def plainly(rows: list[Sample], points: int) -> list[tuple[int, float, float, float, int]]:
    """Time, mean, lowest, highest and quality of each stretch, row by row."""
    length = math.ceil(10_000 / points)
    found = []
    for start in range(0, 10_000, length):
        here = [r for r in rows if start <= r[0] < start + length]
        usable = [r for r in here if r[2] <= Quality.QUESTIONABLE and math.isfinite(r[1])]
        if not here:
            continue
        counted = usable or here
        values = [r[1] for r in usable] or [math.nan]
        time = sum(r[0] for r in counted) // len(counted)
        found.append((time, math.fsum(values) / len(values), min(values), max(values), max(r[2] for r in counted)))
    return found


@given(rows=samples, points=st.integers(1, 70))
def test_as_a_plain_one_would(rows: list[Sample], points: int) -> None:
    found = sampled(rows, points)
    assert len(found) <= max(points, 0)
    assert found.downsampled == (len(rows) > points)
    if not found.downsampled:
        assert found.time_ms.tolist() == [r[0] for r in rows]
        assert found.quality.tolist() == [r[2] for r in rows]
        usable = [r[1] if r[2] <= Quality.QUESTIONABLE else math.nan for r in rows]
        for column in (found.value, found.low, found.high):
            np.testing.assert_array_equal(column, np.array(usable, dtype=np.float32))
        return
    expected = plainly(rows, points)
    assert found.time_ms.tolist() == [e[0] for e in expected]
    assert found.quality.tolist() == [e[4] for e in expected]
    np.testing.assert_allclose(found.value, [e[1] for e in expected], rtol=1e-6, atol=1e-30)
    np.testing.assert_array_equal(found.low, np.array([e[2] for e in expected], dtype=np.float32))
    np.testing.assert_array_equal(found.high, np.array([e[3] for e in expected], dtype=np.float32))
