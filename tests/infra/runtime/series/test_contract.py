"""What every series store promises, proved once for all of them."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.readings import MAX_BOOT, MAX_SEQ, Quality, rank
from contracts.scores import Status
from contracts.windows import LONG_MS, SHORT_MS
from infra.runtime.series import SeriesPoints, SeriesStore
from infra.runtime.series_sqlite import SqliteSeries
from tests.infra.runtime.series.columns import T0, Row, readings, row, scores, windows

HOUR_MS = 3_600_000


def asked(
    store: SeriesStore,
    from_ms: int = 0,
    to_ms: int = HOUR_MS,
    *,
    patient: str = "p-1",
    metric: str = "heart_rate",
    points: int = 10_000,
) -> SeriesPoints:
    """A query whose times are counted from T0."""
    return store.query(patient, metric, T0 + from_ms, T0 + to_ms, points)


def shown(points: SeriesPoints) -> list[tuple[int, float]]:
    """Time after T0 and value of each point."""
    assert points.time_ms.dtype == np.int64
    assert points.value.dtype == np.float32
    return list(zip((points.time_ms - T0).tolist(), points.value.tolist(), strict=True))


def later(store: SeriesStore) -> None:
    """As it will be once the store has put things in order."""
    if isinstance(store, SqliteSeries):
        store.compact()


def test_what_was_written_can_be_read(store: SeriesStore) -> None:
    store.write(readings([row(72, 0), row(73, 1000), row(36.6, 0, metric="temperature"), row(90, 0, patient="p-2")]))
    for _ in range(2):
        assert shown(asked(store)) == [(0, 72), (1000, 73)]
        assert shown(asked(store, metric="temperature")) == [(0, float(np.float32(36.6)))]
        assert shown(asked(store, patient="p-2")) == [(0, 90)]
        later(store)


def test_unknown_names_have_no_points(store: SeriesStore) -> None:
    store.write(readings([row(72)]))
    assert len(asked(store, patient="p-9")) == 0
    assert len(asked(store, metric="spo2")) == 0
    assert len(asked(store, metric="no_such_metric")) == 0
    assert store.latest("p-9") == {}
    assert store.windows("p-9", T0, T0 + 1, SHORT_MS) == []
    assert store.scores("p-9", T0, T0 + 1) == []


def test_nothing_to_write_is_fine(store: SeriesStore) -> None:
    store.write(readings([]))
    store.write_windows([])
    store.write_scores([])
    assert len(asked(store)) == 0


#   [from                      to)
#   -1 |0 ... 599,999 | 600,000 |
def test_a_range_is_half_open_also_at_the_edge_of_ten_minutes(store: SeriesStore) -> None:
    times = [-1000, 0, 599_000, 599_999, 600_000, 601_000]
    store.write(readings([row(i, t) for i, t in enumerate(times)]))
    for _ in range(2):
        assert shown(asked(store, 0, 600_000)) == [(0, 1), (599_999, 3)]
        assert shown(asked(store, 600_000, 601_000)) == [(600_000, 4)]
        assert shown(asked(store, 599_999, 600_001)) == [(599_999, 3), (600_000, 4)]
        assert len(asked(store, 1, 599_000)) == 0
        assert len(asked(store, 599_999, 599_999)) == len(asked(store, 600_000, 0)) == 0
        later(store)
    assert store.windows("p-1", T0, T0, SHORT_MS) == []
    assert store.scores("p-1", T0, T0) == []


# Of the readings of one second, which one counts: newest time, then boot, then seq.
WINNERS = [
    pytest.param([row(1, 100), row(2, 900)], 2, id="the newest time"),
    pytest.param([row(1, 100, boot=9), row(2, 900, boot=1)], 2, id="time before boot"),
    pytest.param([row(1, 500, boot=2, seq=1), row(2, 500, boot=1, seq=9)], 1, id="then boot"),
    pytest.param([row(1, 500, seq=8), row(2, 500, seq=9)], 2, id="then seq"),
    pytest.param([row(1, 500, boot=MAX_BOOT, seq=MAX_SEQ), row(2, 500, boot=MAX_BOOT, seq=0)], 1, id="largest numbers"),
]


@pytest.mark.parametrize("separately", [True, False])
@pytest.mark.parametrize(("rows", "winner"), WINNERS)
def test_the_newest_reading_of_a_second_counts_however_it_arrives(
    store: SeriesStore, rows: list[Row], winner: float, separately: bool
) -> None:
    for order in (rows, rows[::-1]):
        for part in [[r] for r in order] if separately else [order]:
            store.write(readings(part))
        assert [v for _, v in shown(asked(store))] == [winner]
        later(store)
        assert [v for _, v in shown(asked(store))] == [winner]


def test_writing_again_changes_nothing(store: SeriesStore) -> None:
    rows = [row(60 + i % 7, 1000 * i + i % 3) for i in range(1000)]
    store.write(readings(rows))
    before = asked(store)
    for _ in range(2):
        later(store)
        store.write(readings(rows[300:]))
        store.write(readings(rows[::-1]))
        again = asked(store)
        np.testing.assert_array_equal(again.time_ms, before.time_ms)
        np.testing.assert_array_equal(again.value, before.value)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.builds(
            row,
            st.floats(width=32, allow_nan=False, allow_infinity=False),
            st.integers(-700_000, 700_000),
            patient=st.sampled_from(["p-1", "p 2, = %\\", "ü患者"]),
            metric=st.sampled_from(["heart_rate", "weight"]),
            quality=st.sampled_from([Quality.GOOD, Quality.QUESTIONABLE]),
            boot=st.integers(0, MAX_BOOT),
            seq=st.integers(0, MAX_SEQ),
        ),
        max_size=40,
        unique_by=lambda r: (r[0], r[1], r[2], r[5], r[6]),
    ),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    compactions=st.sets(st.integers(0, 5)),
    shuffle=st.randoms(use_true_random=False),
)
def test_any_split_order_and_repetition_reads_back_the_same(
    store: SeriesStore, new_patients: Callable[[], str], rows: list[Row], cuts: list[int], compactions: set[int],
    shuffle: random.Random,
) -> None:  # fmt: skip
    run = new_patients()
    rows = [(run + r[0], *r[1:]) for r in rows]
    expected: dict[tuple[str, str, int], tuple[int, int, float, int]] = {}
    if rows:
        for r, order in zip(rows, rank(readings(rows)).tolist(), strict=True):
            key = r[0], r[1], r[2] // 1000
            expected[key] = max(expected.get(key, (-1, 0, 0.0, 0)), (order, r[2], r[3], r[4]))
    delivered = rows + rows[: len(rows) // 2]
    shuffle.shuffle(delivered)
    edges = [0, *sorted(min(c, len(delivered)) for c in cuts), len(delivered)]
    for i, (a, b) in enumerate(itertools.pairwise(edges)):
        store.write(readings(delivered[a:b]))
        if i in compactions:
            later(store)
    for patient, metric in {(r[0], r[1]) for r in rows}:
        points = asked(store, -HOUR_MS, HOUR_MS, patient=patient, metric=metric)
        wanted = sorted((t, v, q) for (p, m, _), (_, t, v, q) in expected.items() if (p, m) == (patient, metric))
        assert list(zip(*zip(*shown(points), strict=True), points.quality.tolist(), strict=True)) == wanted
        time_ms, value, quality = wanted[-1]
        latest = store.latest(patient)[metric]
        assert (latest.time_ms - T0, latest.value, latest.quality) == (time_ms, value, quality)


@pytest.fixture
def new_patients() -> Callable[[], str]:
    """A prefix for patient keys, another one at each call: examples share one store."""
    numbers = iter(range(10**6))
    return lambda: f"{next(numbers)}-"


def test_a_spike_survives_downsampling(store: SeriesStore) -> None:
    rows = [row(75 + i % 3, 1000 * i) for i in range(3600)]
    rows[1234] = row(190, 1_234_000)
    rows[2345] = row(21, 2_345_000)
    store.write(readings(rows))
    for _ in range(2):
        points = asked(store, points=50)
        assert points.downsampled
        assert len(points) == 50
        assert points.high.max() == 190
        assert points.low.min() == 21
        assert (points.low <= points.value).all()
        assert (points.value <= points.high).all()
        spike = points.time_ms[points.high.argmax()] - T0
        assert abs(spike - 1_234_000) <= HOUR_MS / 50
        later(store)


def test_bad_values_are_gaps_and_never_averaged_in(store: SeriesStore) -> None:
    rows = [row(80, 1000 * i) for i in range(100)]
    rows += [row(0, 1000 * i, quality=Quality.BAD) for i in range(100, 200)]
    rows += [row(300 if i % 2 else 80, 1000 * i, quality=Quality.NOT_WORN if i % 2 else Quality.QUESTIONABLE)
             for i in range(200, 300)]  # fmt: skip
    store.write(readings(rows))
    every = asked(store, 0, 300_000)
    assert not every.downsampled
    assert np.isnan(every.value[100:200]).all()
    assert (every.quality[100:200] == Quality.BAD).all()
    few = asked(store, 0, 300_000, points=3)
    assert len(few) == 3
    assert few.value[[0, 2]].tolist() == [80, 80]
    assert few.low[[0, 2]].tolist() == few.high[[0, 2]].tolist() == [80, 80]
    assert math.isnan(few.value[1])
    assert math.isnan(few.low[1])
    assert few.quality.tolist() == [Quality.GOOD, Quality.BAD, Quality.QUESTIONABLE]


def test_latest_is_the_newest_of_each_metric_even_if_bad(store: SeriesStore) -> None:
    store.write(readings([row(72, 5000), row(71, 4000), row(98, 0, metric="spo2")]))
    later(store)
    store.write(readings([row(0, 6000, quality=Quality.BAD), row(60, 1000), row(97, 0, metric="spo2", seq=1)]))
    for _ in range(2):
        latest = store.latest("p-1")
        assert set(latest) == {"heart_rate", "spo2"}
        assert (latest["heart_rate"].time_ms, latest["heart_rate"].quality) == (T0 + 6000, Quality.BAD)
        later(store)


def test_windows_read_back_whole(store: SeriesStore) -> None:
    features = {"heart_rate.mean": 72.25, "spo2.slope": math.nan, "heart_rate.count": 60.0}
    store.write_windows(
        [
            windows(0, patients=["p-1", "p-2"], features=features),
            windows(10_000, features={"spo2.mean": 96.5}),
            windows(10_000, span_ms=LONG_MS),
        ]
    )
    found = store.windows("p-1", T0, T0 + 20_000, SHORT_MS)
    assert [(w.window_end_ms - T0, w.span_ms, w.late, w.revised) for w in found] == [
        (0, SHORT_MS, 0, False), (10_000, SHORT_MS, 0, False)
    ]  # fmt: skip
    assert [dict(w.features) for w in found] == [
        {"heart_rate.mean": 72.25, "heart_rate.count": 60.0},
        {"spo2.mean": 96.5},
    ]
    assert len(store.windows("p-1", T0, T0 + 20_000, LONG_MS)) == 1
    assert [w.window_end_ms for w in store.windows("p-2", T0, T0 + 1, SHORT_MS)] == [T0]
    assert store.windows("p-1", T0 + 1, T0 + 10_000, SHORT_MS) == []


def test_the_last_revision_of_a_window_counts_however_often_the_first_is_sent_again(store: SeriesStore) -> None:
    first = windows(0, features={"heart_rate.mean": 70.0, "spo2.mean": 96.0})
    revised = windows(0, late=2, features={"heart_rate.mean": 71.0})
    for sent in (first, revised, first, revised, first):
        store.write_windows([sent])
    (found,) = store.windows("p-1", T0, T0 + 1, SHORT_MS)
    assert (found.late, found.revised, dict(found.features)) == (2, True, {"heart_rate.mean": 71.0})


def test_scores_read_back_whole(store: SeriesStore) -> None:
    store.write_scores(
        [
            scores(
                1.5, 0, contribution={"heart_rate": 1.25, "spo2": 0.25}, deviation={"heart_rate": 9.0, "spo2": math.nan}
            ),
            scores(math.nan, 10_000, status=Status.NOT_READY, contribution={"spo2": 0.0}, deviation={}),
            scores(0.25, 10_000, model='te"st, = \\ %', version="2.0 b"),
            scores(9.0, 0, patient="p-2"),
        ]
    )
    both = store.scores("p-1", T0, T0 + 20_000)
    assert {(s.window_end_ms - T0, s.model, s.version, s.score, s.status) for s in both} == {
        (0, "personal_baseline", "1", 1.5, "ok"),
        (10_000, "personal_baseline", "1", None, "not_ready"),
        (10_000, 'te"st, = \\ %', "2.0 b", 0.25, "ok"),
    }
    assert [s.window_end_ms for s in both] == [T0, T0 + 10_000, T0 + 10_000]
    assert dict(both[0].contributions) == {"heart_rate": 1.25, "spo2": 0.25}
    assert dict(both[0].deviations) == {"heart_rate": 9.0}
    (other,) = store.scores("p-1", T0, T0 + 20_000, 'te"st, = \\ %')
    assert other.score == 0.25
    assert store.scores("p-1", T0 + 1, T0 + 10_000) == []
    assert store.scores("p-1", T0, T0 + 1, "unknown") == []
    (not_ready,) = [s for s in both if s.status == "not_ready"]
    assert (not_ready.contributions, not_ready.deviations) == ({}, {})


def test_a_score_sent_again_replaces_the_one_before(store: SeriesStore) -> None:
    store.write_scores([scores(1.5, contribution={"heart_rate": 1.5})])
    store.write_scores([scores(2.5, version="2", contribution={"spo2": 2.5}, deviation={})])
    (found,) = store.scores("p-1", T0, T0 + 1)
    assert (found.score, found.version, dict(found.contributions), dict(found.deviations)) == (
        2.5,
        "2",
        {"spo2": 2.5},
        {},
    )
    store.write_scores([scores(math.nan, status=Status.INSUFFICIENT)])
    (found,) = store.scores("p-1", T0, T0 + 1)
    assert (found.score, found.status) == (None, "insufficient")


def test_retain_forgets_what_is_old_and_nothing_else(store: SeriesStore) -> None:
    times = range(0, 5 * HOUR_MS, 60_000)
    store.write(readings([row(i, t, patient=p) for p in ("p-1", "p-2") for i, t in enumerate(times)]))
    later(store)
    store.write(readings([row(50, 1000, patient="p-3")]))  # a patient who left before anything was put in order
    store.write_windows([windows(t) for t in times])
    store.write_scores([scores(1.0, t) for t in times])
    before = 3 * HOUR_MS
    store.retain(T0 + before, T0 + before + 60_000)
    for patient in ("p-1", "p-2"):
        left = (asked(store, 0, 5 * HOUR_MS, patient=patient).time_ms - T0).tolist()
        assert left[0] > before - 600_000
        assert [t for t in left if t >= before] == [t for t in times if t >= before]
    assert len(asked(store, patient="p-3")) == 0
    ends = [w.window_end_ms - T0 for w in store.windows("p-1", T0, T0 + 5 * HOUR_MS, SHORT_MS)]
    assert ends[0] > before + 60_000 - 600_000
    assert [t for t in ends if t >= before + 60_000] == [t for t in times if t >= before + 60_000]
    assert [s.window_end_ms - T0 for s in store.scores("p-1", T0, T0 + 5 * HOUR_MS)] == ends
    # What is sent again after that is stored again.
    store.write(readings([row(51, 1000, patient="p-3")]))
    assert shown(asked(store, patient="p-3")) == [(1000, 51)]
