"""Which score of a patient is shown, and what it says."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from api.columns import score_rows
from api.patient_schema import Risk
from api.ward import Ward
from contracts.scores import Status
from tests.api.builders import NOW_MS, scores
from tests.api.test_ward import patient


def test_a_score_that_is_unknown_has_no_number() -> None:
    ward = Ward()
    for status, score in ((Status.NOT_READY, math.nan), (Status.INSUFFICIENT, 0.0), (Status.OK, math.nan)):
        ward = Ward()
        ward.fold_scores(score_rows(scores("p-1", score, status=status)))
        risk = patient(ward, "p-1").risk
        assert risk is not None
        assert risk.score is None
        assert risk.status is not Status.OK


def test_a_score_says_why() -> None:
    ward = Ward()
    frame = scores(
        "p-1",
        1.3,
        contribution={"respiratory_rate": 1.3, "spo2": 0.0},
        deviation={"respiratory_rate": 9.0, "spo2": math.nan},
    )
    ward.fold_scores(score_rows(frame))
    assert patient(ward, "p-1").risk == Risk(
        score=1.3,
        status=Status.OK,
        model="personal_baseline",
        version="1",
        time="2026-03-01T10:00:00.000Z",
        contributions={"respiratory_rate": 1.3},
        deviations={"respiratory_rate": 9.0},
    )


def test_two_models_do_not_flicker() -> None:
    ward = Ward()
    shown = []
    for second in range(0, 600, 10):
        for model in ("b", "a"):
            if model == "b" and second > 300:  # falls silent
                continue
            ward.fold_scores(score_rows(scores("p-1", 1, model=model, end_ms=NOW_MS + second * 1000)))
        risk = patient(ward, "p-1").risk
        assert risk is not None
        shown.append(risk.model)
    assert shown == ["b"] * 43 + ["a"] * 17


def test_the_baseline_is_shown_before_trained_models_and_a_shadow_never() -> None:
    ward = Ward()
    shown = []
    ward.fold_scores(score_rows(scores("p-1", 9, model="toy.shadow", end_ms=NOW_MS)))
    assert patient(ward, "p-1").risk is None
    for second in range(0, 600, 10):
        end_ms = NOW_MS + second * 1000
        if second % 60 == 0:
            ward.fold_scores(score_rows(scores("p-1", 0.1, model="toy", end_ms=end_ms)))
        if 20 <= second <= 300:
            status = Status.OK if second > 100 else Status.NOT_READY
            ward.fold_scores(score_rows(scores("p-1", 2, status=status, model="personal_baseline", end_ms=end_ms)))
        risk = patient(ward, "p-1").risk
        assert risk is not None
        shown.append(risk.model)
    assert shown[:2] == ["toy"] * 2
    assert set(shown[2:36]) == {"personal_baseline"}
    assert set(shown[48:]) == {"toy"}, "it fell silent"


def test_an_older_window_does_not_replace_a_newer_score() -> None:
    ward = Ward()
    ward.fold_scores(score_rows(scores("p-1", 2, end_ms=NOW_MS)))
    assert not ward.fold_scores(score_rows(scores("p-1", 9, end_ms=NOW_MS - 10_000)))


def test_a_frame_with_several_windows_of_a_patient_ends_with_the_newest() -> None:
    one, two = score_rows(scores("p-1", 1.0, end_ms=NOW_MS)), score_rows(scores("p-1", 2.0, end_ms=NOW_MS + 10_000))
    both = dataclasses.replace(
        one, patient=["p-1", "p-1"], window_end_ms=np.concatenate([one.window_end_ms, two.window_end_ms]),
        score=np.concatenate([one.score, two.score]), status=np.concatenate([one.status, two.status]),
    )  # fmt: skip
    ward = Ward()
    assert ward.fold_scores(both)
    risk = patient(ward, "p-1").risk
    assert risk is not None
    assert risk.score == 2.0
    assert not ward.fold_scores(both), "the same frame again"
