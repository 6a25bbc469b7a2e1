"""The personal baseline: how far someone is from their own usual, and honest about not knowing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from contracts.frames import labels
from contracts.scores import STATUSES, Scores, Status, decode_scores, encode_scores
from contracts.windows import Windows
from inference.detectors.personal_baseline import PersonalBaseline, Policy

START = 1_772_359_200_000
HOP = 10_000


def windows(patients: list[str], ends: list[int], **means: list[float]) -> Windows:
    """Short windows with full coverage of the metrics given; NaN is a window without that metric."""
    features = {}
    for metric, values in means.items():
        column = np.array(values, dtype=np.float32)
        features[f"{metric}.mean"] = column
        features[f"{metric}.coverage"] = np.where(np.isnan(column), np.nan, 1).astype(np.float32)
    rows = len(patients)
    return Windows(
        patient=labels(patients),
        window_end_ms=np.array(ends, dtype=np.int64),
        span_ms=np.full(rows, 60_000, dtype=np.int32),
        late=np.zeros(rows, dtype=np.int32),
        revised=np.zeros(rows, dtype=np.uint8),
        features=features,
    )


def calm(scorer: PersonalBaseline, count: int, patient: str = "p", start: int = START, hr: float = 62) -> Scores:
    """Feed `count` quiet windows and return the scores of the last."""
    rng = np.random.default_rng(7)
    scores = None
    for i in range(count):
        beat = float(hr + rng.normal(0, 2))
        scores = scorer.score(
            windows([patient], [start + i * HOP], heart_rate=[beat], spo2=[97.0], respiratory_rate=[15.0])
        )
    assert scores is not None
    return scores


def status(scores: Scores) -> list[Status]:
    return [STATUSES[s] for s in scores.status]


def test_it_says_not_ready_until_it_knows_the_patient() -> None:
    scorer = PersonalBaseline()
    for expected, count in ((Status.NOT_READY, Policy().ready_windows), (Status.OK, 1)):
        scores = calm(scorer, count, start=START + (0 if expected is Status.NOT_READY else count * 400_000))
        assert status(scores) == [expected]
        assert np.isnan(scores.score[0]) == (expected is not Status.OK)


def test_a_window_with_too_little_data_is_insufficient_not_normal() -> None:
    scorer = PersonalBaseline()
    calm(scorer, 60)
    scores = scorer.score(windows(["p"], [START + 10**7], heart_rate=[150.0]))
    assert status(scores) == [Status.INSUFFICIENT]
    assert np.isnan(scores.score[0])


def test_half_covered_metrics_do_not_count() -> None:
    scorer = PersonalBaseline()
    calm(scorer, 60)
    sparse = windows(["p"], [START + 10**7], heart_rate=[150.0], spo2=[97.0])
    sparse = replace(sparse, features={**sparse.features, "heart_rate.coverage": np.array([0.49], dtype=np.float32)})
    assert status(scorer.score(sparse)) == [Status.INSUFFICIENT]


def test_usual_values_score_zero_and_unusual_ones_say_which_metric() -> None:
    scorer = PersonalBaseline()
    usual = calm(scorer, 400)
    assert usual.score[0] == 0
    worse = scorer.score(
        windows(["p"], [START + 10**7], heart_rate=[62.0], spo2=[90.0], respiratory_rate=[27.0])
    )
    assert worse.score[0] > 4
    assert worse.contribution["respiratory_rate"][0] > worse.contribution["heart_rate"][0]
    assert worse.contribution["spo2"][0] > 0
    assert worse.deviation["respiratory_rate"][0] == pytest.approx(12, abs=1)


def test_what_is_usual_is_personal() -> None:
    """HR 52 is an athlete's ordinary day and another patient's alarm."""
    athlete, other = PersonalBaseline(), PersonalBaseline()
    calm(athlete, 400, hr=50)
    calm(other, 400, hr=85)
    window = windows(["p"], [START + 10**7], heart_rate=[52.0], spo2=[97.0], respiratory_rate=[15.0])
    assert athlete.score(window).score[0] < 0.5 < other.score(window).score[0]


def test_high_oxygen_is_never_a_deviation() -> None:
    scorer = PersonalBaseline()
    for i in range(200):
        scorer.score(windows(["p"], [START + i * HOP], heart_rate=[70.0], spo2=[89.0]))
    better = scorer.score(windows(["p"], [START + 10**7], heart_rate=[70.0], spo2=[99.0]))
    assert better.contribution["spo2"][0] == 0


def test_an_hour_of_deterioration_does_not_become_the_new_normal() -> None:
    scorer = PersonalBaseline()
    calm(scorer, 6 * 360)
    first = last = None
    for i in range(360):
        end = START + 10**8 + i * HOP
        last = scorer.score(windows(["p"], [end], heart_rate=[120.0], spo2=[91.0], respiratory_rate=[26.0]))
        first = first or last
    assert first is not None
    assert last is not None
    assert last.score[0] > 0.6 * first.score[0]


def test_the_pulse_stands_in_only_when_the_ecg_is_missing() -> None:
    scorer = PersonalBaseline()
    for i in range(100):
        scorer.score(windows(["p"], [START + i * HOP], heart_rate=[70.0], pulse_rate=[70.0], spo2=[97.0]))
        scorer.score(windows(["q"], [START + i * HOP], heart_rate=[np.nan], pulse_rate=[70.0], spo2=[97.0]))
    both = scorer.score(
        windows(["p", "q"], [START + 10**7] * 2, heart_rate=[120.0, np.nan], pulse_rate=[120.0] * 2, spo2=[97.0] * 2)
    )
    assert both.contribution["pulse_rate"][0] == 0
    assert both.contribution["pulse_rate"][1] > 0
    assert status(both) == [Status.OK, Status.OK]


def test_a_revised_window_is_not_learnt_twice() -> None:
    scorer = PersonalBaseline()
    calm(scorer, 50)
    before = scorer.snapshot()
    scorer.score(windows(["p"], [START], heart_rate=[200.0], spo2=[60.0]))
    assert scorer.snapshot() == before


VALUE = st.one_of(st.just(float("nan")), st.floats(0, 300, width=32))
STEP = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d"]), VALUE, VALUE, VALUE), min_size=1, max_size=4, unique_by=lambda r: r[0]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=40), st.data())
def test_batching_order_and_restart_never_change_a_bit(
    steps: list[list[tuple[str, float, float, float]]], data: st.DataObject
) -> None:
    """One call per window and patient, or all patients of a step at once in any order, restarted in the middle: same bits."""
    policy = Policy(ready_windows=3)
    whole, single = PersonalBaseline(policy), PersonalBaseline(policy)
    restart_at = data.draw(st.integers(0, len(steps)))
    for number, step in enumerate(steps):
        if number == restart_at:
            snapshot = whole.snapshot()
            whole = PersonalBaseline(policy)
            whole.restore(snapshot)
        end = START + number * HOP
        order = data.draw(st.permutations(range(len(step))))
        rows = [step[i] for i in order]
        together = whole.score(
            windows(
                [r[0] for r in rows],
                [end] * len(rows),
                heart_rate=[r[1] for r in rows],
                spo2=[r[2] for r in rows],
                temperature=[r[3] for r in rows],
            )
        )
        for place, row in enumerate(rows):
            alone = single.score(windows([row[0]], [end], heart_rate=[row[1]], spo2=[row[2]], temperature=[row[3]]))
            assert alone.score.tobytes() == together.score[place : place + 1].tobytes()
            assert alone.status[0] == together.status[place]
            for metric, part in alone.contribution.items():
                assert part[0] == together.contribution[metric][place]
        ok = np.array([STATUSES[s] is Status.OK for s in together.status])
        assert np.isfinite(together.score[ok]).all(), "a score that counts is a number"
        assert np.isnan(together.score[~ok]).all(), "unknown is not a number"
        total = sum((c for c in together.contribution.values()), np.zeros(len(rows), dtype=np.float32))
        np.testing.assert_allclose(total[ok], together.score[ok], rtol=1e-5)
        assert decode_scores(encode_scores(together)).score.tobytes() == together.score.tobytes()


@pytest.mark.parametrize("damage", [b"", b"x", b"\x80" * 50])
def test_a_damaged_snapshot_is_refused(damage: bytes) -> None:
    with pytest.raises(InvalidInput):
        PersonalBaseline().restore(damage)
