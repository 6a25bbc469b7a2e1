"""Hour features: what was not measured stays unknown, and neither the future nor the grouping of rows changes a feature."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from contracts.frames import labels
from contracts.windows import Windows
from inference.features import CHANNELS, DAY, FEATURE_SETS, FEATURES, HOURS, METRICS, STAY, HourFeatures
from inference.features.layout import HOUR_MS
from inference.features.live import rows_of

Floats = npt.NDArray[np.float32]
START = 480_000 * HOUR_MS
PATIENTS = 3


def state(rows: list[tuple[int, int, int, float]], patients: int = PATIENTS) -> HourFeatures:
    """Rows of (slot, metric, minutes after START, value), all in one call."""
    found = HourFeatures()
    found.fit(patients)
    give(found, rows)
    return found


def give(features: HourFeatures, rows: list[tuple[int, int, int, float]]) -> None:
    features.update(
        np.array([r[0] for r in rows], dtype=np.intp),
        np.array([r[1] for r in rows], dtype=np.intp),
        np.array([START + r[2] * 60_000 for r in rows], dtype=np.int64),
        np.array([r[3] for r in rows], dtype=np.float32),
    )


def one(features: HourFeatures, name: str, minutes: int, slot: int = 0) -> float:
    table = features.table(np.array([slot]), START + minutes * 60_000)
    return float(table[0, FEATURES.index(name)])


def both(features: HourFeatures, minutes: int) -> tuple[bytes, bytes]:
    slots, t_ms = np.arange(PATIENTS), START + minutes * 60_000
    return features.table(slots, t_ms, feature_set=STAY).tobytes(), features.sequence(slots, t_ms).tobytes()


def of_stay(features: HourFeatures, t_ms: int, usual: tuple[int, ...] = ()) -> dict[str, float]:
    table = features.table(np.array([0]), t_ms, usual, feature_set=STAY)
    return dict(zip(FEATURE_SETS[STAY], table[0].tolist(), strict=True))


HR = METRICS.index("heart_rate")
SBP = METRICS.index("systolic_bp")

# Some hours of some patients, in time order: two minutes an hour at most, so that several values share a bucket.
streams = st.lists(
    st.tuples(
        st.integers(0, PATIENTS - 1),
        st.integers(0, len(METRICS) - 1),
        st.integers(0, 40 * 60),
        st.floats(30, 200, width=32),
    ),
    max_size=80,
).map(lambda rows: sorted(rows, key=lambda r: r[2]))


def test_a_patient_without_values_is_unknown_not_normal() -> None:
    features = state([])
    table = features.table(np.arange(PATIENTS), START)
    counts = [FEATURES.index(n) for n in FEATURES if ".hours_" in n or n == "news2.known"]
    rest = np.setdiff1d(np.arange(len(FEATURES)), counts)
    assert np.isnan(table[:, rest]).all()
    assert (table[:, counts] == 0).all()
    sequence = features.sequence(np.arange(PATIENTS), START)
    measured = [k for k, name in enumerate(CHANNELS) if name.endswith(".measured")]
    age = [k for k, name in enumerate(CHANNELS) if name.endswith(".age")]
    assert (sequence[:, :, measured] == 0).all()
    assert (sequence[:, :, age] == 1).all()


def test_windows_levels_and_ages_are_those_worked_out_by_hand() -> None:
    # hour        0    1    2    …    9   10 (now, 10:30)
    # heart rate 60   70    –         90  100 at 10:00, 104 at 10:20
    rows = [(0, HR, 0, 60.0), (0, HR, 60, 70.0), (0, HR, 540, 90.0), (0, HR, 600, 100.0), (0, HR, 620, 104.0)]
    features = state([*rows, (0, SBP, 600, 51.0)])
    now = 630
    assert one(features, "heart_rate.level", now) == 104
    assert one(features, "heart_rate.age_h", now) == pytest.approx(1 / 6)
    assert one(features, "heart_rate.mean_6h", now) == pytest.approx((90 + 102) / 2)
    assert one(features, "heart_rate.min_24h", now) == 60
    assert one(features, "heart_rate.max_24h", now) == 102
    assert one(features, "heart_rate.hours_24h", now) == 4
    assert one(features, "heart_rate.delta", now) == 104 - 80
    assert one(features, "heart_rate.std_6h", now) == pytest.approx(np.std([90, 102], ddof=1), rel=1e-5)
    assert np.isnan(one(features, "heart_rate.slope_6h", now))  # two hours do not make a slope
    expected = np.polyfit([0, 1, 9, 10], [60, 70, 90, 102], 1)[0]
    assert one(features, "heart_rate.slope_24h", now) == pytest.approx(expected, rel=1e-4)
    assert one(features, "shock_index", now) == pytest.approx(104 / 51)
    assert one(features, "news2.heart_rate", now) == 1
    assert one(features, "news2.systolic_bp", now) == 3
    assert one(features, "news2.total", now) == 4
    assert one(features, "news2.known", now) == 2


def test_a_value_is_forgotten_when_it_is_24_hours_old() -> None:
    features = state([(0, HR, 0, 60.0)])
    assert one(features, "heart_rate.level", 23 * 60 + 59) == 60
    assert np.isnan(one(features, "heart_rate.level", 24 * 60))


@settings(max_examples=60, deadline=None)
@given(rows=streams, future=streams, at=st.integers(0, 40 * 60))
def test_the_hour_that_comes_changes_nothing_in_the_past(
    rows: list[tuple[int, int, int, float]], future: list[tuple[int, int, int, float]], at: int
) -> None:
    features = state([row for row in rows if row[2] <= at])
    before = both(features, at)
    next_hour = (at // 60 + 1) * 60
    give(features, [(slot, metric, next_hour + minute % 60, value) for slot, metric, minute, value in future])
    assert both(features, at) == before


@settings(max_examples=40, deadline=None)
@given(rows=streams, seed=st.integers(0, 1000), at=st.integers(0, 40 * 60))
def test_a_shuffled_future_gives_the_same_features_on_the_way(
    rows: list[tuple[int, int, int, float]], seed: int, at: int
) -> None:
    """The same log with its values after `at` shuffled: what was said up to `at` is the same to the bit."""
    later = [row for row in rows if row[2] > at]
    values = np.random.default_rng(seed).permutation([row[3] for row in later])
    shuffled = [*(r for r in rows if r[2] <= at), *((*r[:3], float(v)) for r, v in zip(later, values, strict=True))]

    def said(log: list[tuple[int, int, int, float]]) -> list[tuple[bytes, bytes]]:
        """The end of each hour up to `at`, asked when the hour after it is already there."""
        features, found = state([]), []
        for hour in range(at // 60 + 1):
            give(features, [row for row in log if row[2] // 60 == hour])
            if hour:
                found.append(both(features, hour * 60 - 1))
        return found

    assert said(rows) == said(shuffled)


@settings(max_examples=60, deadline=None)
@given(rows=streams, cuts=st.lists(st.integers(0, 80), max_size=6))
def test_rows_give_the_same_bits_however_they_are_grouped(
    rows: list[tuple[int, int, int, float]], cuts: list[int]
) -> None:
    whole, parts = state(rows), state([])
    edges = [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    for start, end in itertools.pairwise(edges):
        give(parts, rows[start:end])
    assert both(whole, 40 * 60) == both(parts, 40 * 60)


@settings(max_examples=40, deadline=None)
@given(rows=streams)
def test_a_row_given_again_changes_nothing(rows: list[tuple[int, int, int, float]]) -> None:
    features = state(rows)
    before = both(features, 40 * 60)
    give(features, rows)
    assert both(features, 40 * 60) == before


@settings(max_examples=40, deadline=None)
@given(rows=streams, order=st.permutations(range(PATIENTS)))
def test_the_order_of_patients_does_not_matter(rows: list[tuple[int, int, int, float]], order: list[int]) -> None:
    moved = state([(order[s], m, t, v) for s, m, t, v in rows])
    slots = np.array(order)
    t_ms = START + 40 * HOUR_MS
    assert moved.table(slots, t_ms).tobytes() == state(rows).table(np.arange(PATIENTS), t_ms).tobytes()


@settings(max_examples=20, deadline=None)
@given(rows=streams, minutes=st.lists(st.integers(30 * 60, 40 * 60), min_size=1, max_size=5))
def test_one_patient_alone_has_the_features_it_has_among_many(
    rows: list[tuple[int, int, int, float]], minutes: list[int]
) -> None:
    features = state(rows)
    slots = np.tile(np.arange(PATIENTS), len(minutes))
    times = np.repeat(START + np.array(minutes, dtype=np.int64) * 60_000, PATIENTS)
    together = features.table(slots, times, feature_set=STAY), features.sequence(slots, times)
    for i, (slot, t_ms) in enumerate(zip(slots, times, strict=True)):
        assert features.table(np.array([slot]), int(t_ms), feature_set=STAY).tobytes() == together[0][i].tobytes()
        assert features.sequence(np.array([slot]), int(t_ms)).tobytes() == together[1][i].tobytes()


@settings(max_examples=30, deadline=None)
@given(rows=streams, usual=st.sets(st.integers(0, len(METRICS) - 1)))
def test_the_stay_stands_behind_the_columns_of_the_day_and_changes_none_of_them(
    rows: list[tuple[int, int, int, float]], usual: set[int]
) -> None:
    """So a bundle of `hours/1` is given the same bits as before there was a `hours/2`."""
    assert FEATURE_SETS[STAY][: len(FEATURES)] == FEATURE_SETS[DAY]
    features, slots = state(rows), np.arange(PATIENTS)
    day = features.table(slots, START + 40 * HOUR_MS, tuple(usual))
    stay = features.table(slots, START + 40 * HOUR_MS, tuple(usual), feature_set=STAY)
    assert stay[:, : len(FEATURES)].tobytes() == day.tobytes()


def test_a_vital_at_its_usual_has_no_stay_but_its_usual() -> None:
    features = state([(0, HR, hour * 60, 60.0 + hour) for hour in range(20)])
    give(features, [(0, HR, 30 * 60, 150.0)])
    found = of_stay(features, START + 30 * HOUR_MS, (HR,))
    usual = found["heart_rate.level"]
    assert found["heart_rate.stay_min"] == found["heart_rate.stay_max"] == found["heart_rate.stay_mean"] == usual
    assert found["heart_rate.stay_delta"] == found["heart_rate.change"] == 0


@settings(max_examples=25, deadline=None)
@given(rows=streams, later=streams)
def test_a_restored_snapshot_goes_on_as_if_nothing_had_been(
    rows: list[tuple[int, int, int, float]], later: list[tuple[int, int, int, float]]
) -> None:
    features, restored = state(rows), HourFeatures()
    restored.restore(features.snapshot())
    give(features, later)
    give(restored, later)
    assert both(restored, 40 * 60) == both(features, 40 * 60)


def test_many_patients_are_kept_in_several_frames_and_come_back() -> None:
    features = state([(2_500, HR, 0, 61.0)], patients=2_501)
    restored = HourFeatures()
    restored.restore(features.snapshot())
    assert restored.slots == 2_501
    assert one(restored, "heart_rate.level", 0, slot=2_500) == 61


@pytest.mark.parametrize("snapshot", [b"", b"nothing of ours", b"\x80", b"\x82\xa6schema\xa1x\xa6frames\x90"])
def test_what_is_not_a_snapshot_is_refused(snapshot: bytes) -> None:
    with pytest.raises(InvalidInput):
        HourFeatures().restore(snapshot)


def test_rows_that_cannot_be_are_refused_and_nonsense_values_are_left_out() -> None:
    with pytest.raises(InvalidInput, match="slot"):
        state([(PATIENTS, HR, 0, 60.0)])
    with pytest.raises(InvalidInput, match="metric"):
        state([(0, len(METRICS), 0, 60.0)])
    features = state([(0, HR, 0, float("nan")), (0, HR, 1, float("inf"))])
    assert np.isnan(one(features, "heart_rate.level", 2))


def test_a_minute_of_the_stream_is_its_median_where_enough_of_it_was_measured() -> None:
    ends = np.array([START + 60_000, START + 60_000, START + 70_000], dtype=np.int64)
    windows = Windows(
        patient=labels(["a", "b", "a"]),
        window_end_ms=ends,
        span_ms=np.full(3, 60_000, dtype=np.int32),
        late=np.zeros(3, dtype=np.int32),
        revised=np.zeros(3, dtype=np.uint8),
        features={
            "heart_rate.median": np.array([70, np.nan, 99], dtype=np.float32),
            "heart_rate.coverage": np.array([1.0, 0.0, 1.0], dtype=np.float32),
            "pulse_rate.median": np.array([71, 81, 98], dtype=np.float32),
            "pulse_rate.coverage": np.array([1.0, 0.9, 1.0], dtype=np.float32),
            "spo2.median": np.array([97, 96, 95], dtype=np.float32),
            "spo2.coverage": np.array([0.4, 0.6, 1.0], dtype=np.float32),
        },
    )
    rows = rows_of(windows)  # the third window does not end on a whole minute
    found = sorted(zip(rows.row.tolist(), [METRICS[m] for m in rows.metric], rows.value.tolist(), strict=True))
    assert found == [(0, "heart_rate", 70.0), (1, "heart_rate", 81.0), (1, "spo2", 96.0)]
    assert (rows.time_ms == START + 59_999).all()


def test_the_stay_is_what_a_loop_over_its_hours_finds() -> None:
    rng = np.random.default_rng(3)
    log = [(0, HR, hour * 60 + 5, float(rng.integers(50, 120))) for hour in range(200) if rng.random() < 0.4]
    features, t_ms = state([]), START
    for hour in range(200):
        give(features, [row for row in log if row[2] // 60 == hour])
        seen = [value for _, _, minute, value in log if minute // 60 <= hour]
        if len(seen) < 2 or hour % 13:
            continue
        t_ms = START + hour * HOUR_MS + 3_000_000
        found = of_stay(features, t_ms)
        assert found["heart_rate.stay_mean"] == pytest.approx(np.mean(seen), rel=1e-5)
        assert found["heart_rate.stay_min"] == min(seen)
        assert found["heart_rate.stay_max"] == max(seen)
        assert np.isnan(found["spo2.stay_mean"])
        assert found["heart_rate.change"] == seen[-1] - seen[-2]
        assert found["heart_rate.stay_delta"] == pytest.approx(seen[-1] - np.mean(seen), abs=1e-3)


def test_a_silent_patient_keeps_the_stay_and_loses_the_level() -> None:
    features = state([(0, HR, 0, 60.0), (0, HR, 60, 80.0)])
    found = of_stay(features, START + 300 * HOUR_MS)
    assert found["heart_rate.stay_mean"] == 70
    assert np.isnan(found["heart_rate.stay_delta"])
    give(features, [(0, HR, 310 * 60, 100.0)])
    found = of_stay(features, START + 310 * HOUR_MS)
    assert found["heart_rate.stay_mean"] == 80
    assert found["heart_rate.stay_max"] == 100


def test_a_sequence_says_hour_by_hour_what_was_measured_and_how_long_ago() -> None:
    features = state([(0, HR, 0, 88.0), (0, HR, 60, 68.0)])
    sequence = features.sequence(np.array([0]), START + 3 * HOUR_MS)[0]
    assert sequence.shape == (HOURS, len(CHANNELS))
    value, measured, age = (CHANNELS.index(f"heart_rate.{part}") for part in ("value", "measured", "age"))
    assert sequence[-4:, value].tolist() == [1.0, -1.0, 0.0, 0.0]  # in spreads of 10 around 78
    assert sequence[-4:, measured].tolist() == [1, 1, 0, 0]
    assert sequence[-4:, age].tolist() == pytest.approx([0, 0, 1 / 24, 2 / 24])
    assert sequence[0, age] == 1
