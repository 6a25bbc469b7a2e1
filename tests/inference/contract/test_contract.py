"""The rules that every scorer obeys, whatever it computes (see `inference/scorer.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from contracts.frames import Labels, labels
from contracts.scores import STATUSES, Scores, Status, decode_scores, encode_scores
from contracts.windows import Windows, decode_windows, encode_windows
from inference.scorer import Scorer
from tests.inference.contract.scorers import SCORERS, SHIPPED, WITH_BASE

START = 1_772_359_200_000
MINUTE = 60_000
OK = STATUSES.index(Status.OK)
METRICS = {
    "heart_rate": 80.0, "spo2": 97.0, "respiratory_rate": 17.0, "systolic_bp": 120.0, "diastolic_bp": 65.0,
    "mean_bp": 85.0, "temperature": 36.9, "consciousness": 0.0, "inhaled_oxygen": 21.0, "pulse_rate": 81.0,
}  # fmt: skip

ALL = {**SCORERS, **SHIPPED}
EACH_SCORER = pytest.mark.parametrize("make", ALL.values(), ids=ALL)
EACH_FAST_SCORER = pytest.mark.parametrize("make", SCORERS.values(), ids=SCORERS)
FAST = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ward(seed: int, *, patients: int = 4, minutes: int = 12, missing: float = 0.2) -> list[Windows]:
    """A frame a minute of `patients`; some metrics are missing here and there, and one is not known to a frame at all."""
    rng = np.random.default_rng(seed)
    names = labels([f"p{i}" for i in range(patients)])
    log = []
    for minute in range(minutes):
        features = {}
        for metric, centre in METRICS.items():
            if rng.random() < 0.15:  # a sensor that comes and goes takes its columns along
                continue
            value = (centre + rng.normal(0, max(centre * 0.1, 0.2), patients)).astype(np.float32)
            value = np.maximum(value, 0)
            gone = rng.random(patients) < missing
            for statistic in ("median", "mean", "min", "max", "last"):
                features[f"{metric}.{statistic}"] = np.where(gone, np.nan, value).astype(np.float32)
            features[f"{metric}.coverage"] = np.where(gone, np.nan, 1).astype(np.float32)
            features[f"{metric}.count"] = np.where(gone, np.nan, 60).astype(np.float32)
        log.append(
            Windows(
                patient=names,
                window_end_ms=np.full(patients, START + minute * MINUTE, dtype=np.int64),
                span_ms=np.full(patients, MINUTE, dtype=np.int32),
                late=np.zeros(patients, dtype=np.int32),
                revised=np.zeros(patients, dtype=np.uint8),
                features=features,
            )
        )
    return log


def rows(windows: Windows, chosen: list[int]) -> Windows:
    at = np.array(chosen, dtype=np.intp)
    return replace(
        windows,
        patient=windows.patient.take(at),
        window_end_ms=windows.window_end_ms[at],
        span_ms=windows.span_ms[at],
        late=windows.late[at],
        revised=windows.revised[at],
        features={name: column[at] for name, column in windows.features.items()},
    )


def together(log: list[Windows]) -> Windows:
    """One frame of all: columns that a frame lacks are NaN there."""
    names = sorted({name for w in log for name in w.features})
    return Windows(
        patient=labels([p for w in log for p in w.patient.tolist()]),
        window_end_ms=np.concatenate([w.window_end_ms for w in log]),
        span_ms=np.concatenate([w.span_ms for w in log]),
        late=np.concatenate([w.late for w in log]),
        revised=np.concatenate([w.revised for w in log]),
        features={
            n: np.concatenate([w.features.get(n, np.full(len(w), np.nan, dtype=np.float32)) for w in log])
            for n in names
        },
    )


def said(found: list[Scores]) -> dict[tuple[str, int], tuple[int, bytes, tuple[tuple[str, bytes], ...]]]:
    """Status, bits of the score and of its parts, by patient and window end. Parts of 0 are left out."""
    by_row = {}
    for scores in found:
        for i, patient in enumerate(scores.patient.tolist()):
            parts = tuple(sorted((m, c[i].tobytes()) for m, c in scores.contribution.items() if c[i] != 0))
            key = (patient, int(scores.window_end_ms[i]))
            by_row[key] = (int(scores.status[i]), scores.score[i].tobytes(), parts)
    return by_row


def run(scorer: Scorer, log: list[Windows]) -> list[Scores]:
    return [scorer.score(windows) for windows in log]


@EACH_SCORER
def test_the_same_log_gives_the_same_bits(make: Callable[[], Scorer]) -> None:
    assert said(run(make(), ward(1))) == said(run(make(), ward(1)))


@EACH_SCORER
def test_some_scores_are_given_and_they_differ(make: Callable[[], Scorer]) -> None:
    """Without this the other rules could be met by saying nothing."""
    found = run(make(), ward(2, minutes=20))
    scores = np.concatenate([s.score for s in found])
    assert np.isfinite(scores).sum() > 10
    assert len(np.unique(scores[np.isfinite(scores)])) > 1


@EACH_FAST_SCORER
@FAST
@given(seed=st.integers(0, 10_000))
def test_a_score_is_a_number_exactly_when_its_status_is_ok(make: Callable[[], Scorer], seed: int) -> None:
    for scores in run(make(), ward(seed, missing=0.5)):
        assert np.array_equal(np.isfinite(scores.score), scores.status == OK)
        assert all(np.isfinite(part).all() for part in scores.contribution.values())


@EACH_SCORER
def test_missing_is_not_normal(make: Callable[[], Scorer]) -> None:
    """A patient of whom nothing is measured has no score, before and after being known well."""
    nothing = replace(ward(3, minutes=1)[0], features={})
    assert (make().score(nothing).status != OK).all()
    scorer = make()
    run(scorer, ward(3, minutes=20, missing=0))
    days = replace(nothing, window_end_ms=nothing.window_end_ms + 3 * 86_400_000)
    found = scorer.score(days)
    assert (found.status != OK).all()
    assert np.isnan(found.score).all()


@EACH_FAST_SCORER
@FAST
@given(seed=st.integers(0, 10_000))
def test_a_batch_is_the_stream_step_by_step(make: Callable[[], Scorer], seed: int) -> None:
    check_grouping(make, seed)


def check_grouping(make: Callable[[], Scorer], seed: int) -> None:
    log = ward(seed, patients=3, minutes=10)
    by_frame = said(run(make(), log))
    assert said([make().score(together(log))]) == by_frame
    single = [rows(w, [i]) for w in log for i in range(len(w))]
    assert said(run(make(), single)) == by_frame


@EACH_FAST_SCORER
@FAST
@given(seed=st.integers(0, 10_000), order=st.permutations(range(4)))
def test_the_order_of_patients_does_not_matter(make: Callable[[], Scorer], seed: int, order: list[int]) -> None:
    log = ward(seed)
    assert said(run(make(), [rows(w, order) for w in log])) == said(run(make(), log))


@EACH_SCORER
def test_the_order_of_columns_does_not_matter(make: Callable[[], Scorer]) -> None:
    log = ward(4)
    turned = [replace(w, features=dict(reversed(list(w.features.items())))) for w in log]
    assert said(run(make(), turned)) == said(run(make(), log))


@EACH_FAST_SCORER
@FAST
@given(seed=st.integers(0, 10_000))
def test_what_happens_to_others_does_not_matter(make: Callable[[], Scorer], seed: int) -> None:
    check_others(make, seed)


def check_others(make: Callable[[], Scorer], seed: int) -> None:
    log = ward(seed)
    alone = said(run(make(), [rows(w, [2]) for w in log]))
    assert {key: value for key, value in said(run(make(), log)).items() if key[0] == "p2"} == alone


@EACH_SCORER
def test_features_may_appear_and_disappear(make: Callable[[], Scorer]) -> None:
    """A column nobody has heard of, a metric that is new, one that goes: scores go on."""
    scorer = make()
    log = ward(5, minutes=9, missing=0)
    for i, windows in enumerate(log):
        kept = {n: c for n, c in windows.features.items() if i < 3 or not n.startswith("spo2") or i > 6}
        kept["unheard_of.mean"] = np.ones(len(windows), dtype=np.float32)
        found = scorer.score(replace(windows, features=kept))
        assert np.array_equal(np.isfinite(found.score), found.status == OK)


@EACH_FAST_SCORER
@FAST
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 12))
def test_a_restored_snapshot_goes_on_as_if_nothing_had_been(make: Callable[[], Scorer], seed: int, cut: int) -> None:
    check_restored(make, seed, cut)


def check_restored(make: Callable[[], Scorer], seed: int, cut: int) -> None:
    log = ward(seed)
    first, second = make(), make()
    before = run(first, log[:cut])
    second.restore(first.snapshot())
    after = run(second, log[cut:])
    assert said([*before, *after]) == said(run(make(), log))
    assert second.snapshot() == make_snapshot(make, log)


@pytest.mark.parametrize("make", SHIPPED.values(), ids=SHIPPED)
def test_a_bundle_that_ships_obeys_these_rules_too(make: Callable[[], Scorer]) -> None:
    """With this seed the parts of a score once differed in their last bits by who else was explained."""
    check_grouping(make, 108)
    check_others(make, 108)
    check_restored(make, 108, 6)


def make_snapshot(make: Callable[[], Scorer], log: list[Windows]) -> bytes:
    scorer = make()
    run(scorer, log)
    return scorer.snapshot()


@EACH_SCORER
@pytest.mark.parametrize("snapshot", [b"", b"not a snapshot", b"\x80"])
def test_what_is_no_snapshot_is_refused(make: Callable[[], Scorer], snapshot: bytes) -> None:
    with pytest.raises(InvalidInput):
        make().restore(snapshot)


@pytest.mark.parametrize("name", ALL)
def test_the_parts_of_a_score_add_up_to_it(name: str) -> None:
    for scores in run(ALL[name](), ward(6, minutes=20)):
        ok = scores.status == OK
        total = np.sum(list(scores.contribution.values()), axis=0) if scores.contribution else scores.score
        if name in WITH_BASE:
            assert (total[ok] <= scores.score[ok] + 1e-5).all()
            assert all((part >= 0).all() for part in scores.contribution.values())
        else:
            assert total[ok] == pytest.approx(scores.score[ok], rel=1e-4, abs=1e-4)


@EACH_SCORER
def test_scores_survive_the_wire_and_windows_are_not_changed(make: Callable[[], Scorer]) -> None:
    scorer = make()
    for windows in ward(7):
        before = encode_windows(windows)
        scores = scorer.score(decode_windows(before))
        assert said([decode_scores(encode_scores(scores))]) == said([scores])
        assert encode_windows(windows) == before


@EACH_SCORER
def test_an_empty_frame_gives_no_scores(make: Callable[[], Scorer]) -> None:
    windows = rows(ward(8, minutes=1)[0], [])
    empty = replace(windows, patient=Labels(codes=np.empty(0, dtype=np.int32), names=()))
    assert len(make().score(empty)) == 0
