"""Trained models in the stream: the same scores however windows are grouped or workers restarted, and never a guess."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.scores import STATUSES, Scores, Status
from contracts.topics import PARTITIONS
from contracts.windows import HOP_MS, Windows
from inference.features.live import phase_ms
from inference.serving.lineup import Loaded
from inference.windows import rows_where
from tests.inference.serving.courses import MINUTE, START, at_work, bits, by_status, course, play, served
from tests.inference.test_personal_baseline import windows


def test_whole_minutes_are_scored_once_each_by_every_model(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    first, second = models()
    found = play(at_work(served(first), served(second)), course(1))
    rows = [(s.model, p, int(t)) for s in found for p, t in zip(s.patient.tolist(), s.window_end_ms, strict=True)]
    assert len(rows) == len(set(rows))
    assert all(end % MINUTE == 0 for _, _, end in rows)
    assert {m for m, _, _ in rows} == {"toy", "forecaster"}
    for model in ("toy", "forecaster"):
        assert Status.OK in by_status(found, model)


def test_partitions_take_turns_within_the_minute(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    phases = [phase_ms(partition) for partition in range(PARTITIONS)]
    assert sorted(set(phases)) == list(range(0, MINUTE, HOP_MS))
    found = play(at_work(served(models()[0]), phase_ms=phases[2]), course(1))
    ends = np.concatenate([s.window_end_ms for s in found])
    assert len(ends)
    assert set((ends % MINUTE).tolist()) == {phases[2]}


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_grouping_and_order_of_rows_and_restarts_change_no_bit(
    seed: int, models: Callable[[], tuple[Loaded, Loaded]]
) -> None:
    log, rng = course(seed), random.Random(seed)
    first, second = models()
    plain = bits(play(at_work(served(first), served(second)), log))
    cut: list[Windows] = []
    for frame in log:
        order = np.array(rng.sample(range(len(frame)), len(frame)))
        for part in np.array_split(order, rng.randint(1, len(order))):
            chosen = np.zeros(len(frame), dtype=np.bool_)
            chosen[part] = True
            cut.append(rows_where(frame, chosen))
    models_at_work, found = at_work(served(first), served(second)), []
    for frame in cut:
        found += play(models_at_work, [frame])
        if rng.random() < 0.1:
            again = at_work(served(first), served(second))
            again.restore(models_at_work.snapshot())
            models_at_work = again
    assert bits(found) == plain


def test_a_window_that_late_data_revised_is_not_scored_again(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    trained, log = at_work(served(models()[0])), course(2)
    assert play(trained, log)
    assert play(trained, log) == []


def test_a_patient_with_too_little_data_is_unknown_and_a_new_one_not_ready(
    models: Callable[[], tuple[Loaded, Loaded]],
) -> None:
    first, second = models()
    trained = at_work(served(first), served(second))
    nothing, ready = [], []
    for k in range(6):
        end = [START + k * MINUTE]
        nothing += play(trained, [windows(["x"], end, temperature=[37.0])])
        ready += play(trained, [windows(["y"], end, heart_rate=[80.0], spo2=[97.0], respiratory_rate=[16.0])])
    assert set(by_status(nothing, "toy")) == set(by_status(nothing, "forecaster")) == {Status.INSUFFICIENT}
    assert by_status(ready, "toy") == [Status.NOT_READY] * 2 + [Status.OK] * 4
    assert by_status(ready, "forecaster") == [Status.NOT_READY] * 3 + [Status.OK] * 3
    for s in (*nothing, *ready):
        assert (np.isnan(s.score) == (s.status != STATUSES.index(Status.OK))).all()


def test_the_score_is_the_calibrated_probability_at_its_horizon(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    trained = at_work(served(models()[0]))
    last = play(trained, [windows(["p"], [START + k * MINUTE], heart_rate=[90.0], spo2=[94.0]) for k in range(4)])[-1]
    logit = (90 - 80) / 10 - (94 - 96) / 2 - 1.0
    assert last.score[0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)


def test_parts_add_up_to_the_score_less_its_base_and_only_scores_that_could_alarm_have_any(
    models: Callable[[], tuple[Loaded, Loaded]],
) -> None:
    first, _ = models()
    trained = at_work(served(first))
    log = [windows(["calm", "ill"], [START + k * MINUTE] * 2, heart_rate=[80.0, 110], spo2=[96.0, 92]) for k in range(4)]
    last = play(trained, log)[-1]
    calm, ill = last.score
    assert calm < 0.6 < ill
    parts = {metric: column for metric, column in last.contribution.items() if column.any()}
    assert all(column[0] == 0 for column in parts.values())
    assert set(parts) == {"heart_rate", "spo2"}
    # At their usual (nobody knows this patient's yet: that of an adult at rest) both vitals give the base.
    logit = (78 - 80) / 10 - (96.5 - 96) / 2 - 1.0
    base = 1 / (1 + np.exp(-logit))
    assert sum(float(column[1]) for column in parts.values()) == pytest.approx(ill - base, abs=1e-5)
    assert parts["heart_rate"][1] > 0
    assert last.deviation["heart_rate"][1] == 0  # four minutes of the same value are its own baseline
    assert last.value["heart_rate"][1] == 110
    assert np.isnan(last.value["heart_rate"][0])


def test_taking_the_top_vital_away_lowers_the_score(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    first, _ = models()
    rng = np.random.default_rng(5)
    people = [f"p{k}" for k in range(40)]
    beats, spo2 = rng.uniform(60, 140, 40), rng.uniform(85, 99, 40)

    def last(beats: Any, spo2: Any) -> Scores:
        trained = at_work(served(first))
        log = [windows(people, [START + k * MINUTE] * 40, heart_rate=list(beats), spo2=list(spo2)) for k in range(4)]
        return play(trained, log)[-1]

    found = last(beats, spo2)
    parts = np.stack([found.contribution["heart_rate"], found.contribution["spo2"]])
    explained = parts.any(axis=0)
    assert explained.sum() > 10
    top = parts.argmax(axis=0)
    without_top = last(np.where(top == 0, 78.0, beats), np.where(top == 1, 96.5, spo2)).score
    without_other = last(np.where(top == 1, 78.0, beats), np.where(top == 0, 96.5, spo2)).score
    assert (without_top[explained] < found.score[explained]).all()
    assert (without_top[explained] <= without_other[explained] + 1e-6).all()


def test_a_forecasters_parts_add_up_and_the_vital_that_jumped_leads(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    _, second = models()
    trained = at_work(served(second))
    log = [
        windows(["p"], [START + k * MINUTE], heart_rate=[80.0 + 30 * (k == 7)], spo2=[96.0], respiratory_rate=[16.0])
        for k in range(8)
    ]
    *_, before, last = play(trained, log)
    assert before.score[0] == pytest.approx(0, abs=1e-6)
    total = sum(float(column[0]) for column in last.contribution.values())
    assert last.score[0] == pytest.approx(total)
    assert last.contribution["heart_rate"][0] == total == 12.0  # six deviations, capped
    assert last.deviation["heart_rate"][0] != 0


def test_after_an_hour_away_a_forecast_is_forgotten(models: Callable[[], tuple[Loaded, Loaded]]) -> None:
    trained = at_work(served(models()[1]))
    times = [*range(6), 6 + 90]
    log = [windows(["p"], [START + k * MINUTE], heart_rate=[80.0], spo2=[96.0]) for k in times]
    assert by_status(play(trained, log), "forecaster")[-2:] == [Status.OK, Status.NOT_READY]
