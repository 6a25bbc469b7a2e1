"""Alarms at a budget: refractory time, the window before an event, and thresholds, on hours drawn above the assertion."""

from __future__ import annotations

import numpy as np
import pytest

from inference.evaluate.alarms import Grid, Stages, at_budgets, raise_alarms, threshold_for

NAN = float("nan")


def ward(scores: list[list[float]], events: list[float]) -> Grid:
    """One list of hourly scores a patient; NaN after a patient has left."""
    hours = max(len(s) for s in scores)
    score = np.full((hours, len(scores)), NAN)
    for k, column in enumerate(scores):
        score[: len(column), k] = column
    return Grid(score=score, event_h=np.array(events), days=sum(len(s) for s in scores) / 24)


def test_after_an_alarm_there_is_silence_for_six_hours() -> None:
    # hour   0  1  2  3  4  5  6  7  …  12
    # score  1  1  1  1  1  1  1  1      1    alarms at 0, 6, 12
    found = raise_alarms(ward([[1.0] * 13], [NAN]), 0.5)
    assert found.alarms.tolist() == [3]
    assert found.true.tolist() == [0]


@pytest.mark.parametrize(
    ("hour", "true", "lead"),
    [(7, 0, NAN), (8, 1, 12), (15, 1, 5), (20, 1, 0), (21, 0, NAN)],
    ids=["13 h before", "12 h before", "5 h before", "with it", "an hour late"],
)
def test_an_event_is_found_from_twelve_hours_before_to_the_event(hour: int, true: int, lead: float) -> None:
    scores = [0.0] * 24
    scores[hour] = 1.0
    found = raise_alarms(ward([scores], [20.0]), 0.5)
    assert found.alarms.tolist() == [1]
    assert found.true.tolist() == [true]
    assert found.lead_h.tolist() == pytest.approx([lead], nan_ok=True)


def test_the_lead_is_that_of_the_first_alarm_in_the_window() -> None:
    found = raise_alarms(ward([[1.0] * 21], [20.0]), 0.5)
    assert found.alarms.tolist() == [4]  # 0, 6, 12, 18
    assert found.true.tolist() == [2]
    assert found.lead_h.tolist() == [8]


def test_no_score_is_no_alarm() -> None:
    assert raise_alarms(ward([[NAN] * 10], [5.0]), -1e9).alarms.tolist() == [0]


def test_the_threshold_is_the_lowest_within_the_budget() -> None:
    # Two patients for a day each: one alarm at 0.9, two more at 0.5.
    first, second = [0.0] * 24, [0.0] * 24
    first[3], second[5], second[20] = 0.9, 0.5, 0.5
    of = ward([first, second], [10.0, NAN])
    assert threshold_for(of, 0.5) == 0.9
    assert threshold_for(of, 1.4) == 0.9  # between one alarm and three there is nothing
    assert threshold_for(of, 1.5) == 0.5
    assert threshold_for(of, 0.1) == float("inf")
    at = at_budgets(of, draws=50, seed=1, budgets=(0.5, 1.5))
    assert at["0.5"].sensitivity == 1
    assert at["0.5"].ppv == 1
    assert at["0.5"].lead_hours_median == 7
    assert at["1.5"].ppv == pytest.approx(1 / 3)
    assert at["1.5"].alarms_per_patient_day == 1.5
    assert at["1.5"].time_in_alarm == 3 / 48
    assert at["1.5"].alarmed == 1
    assert at["1.5"].first_alarm_h_quartiles == (3.5, 4, 4.5)  # hours 3 and 5


def test_with_a_longer_silence_the_same_budget_reaches_further() -> None:
    # One patient calls for three days, another for a moment and lower: at one alarm a day there is room for both only when the
    # first one is quiet for longer.
    long, short = [0.9] * 72, [0.0] * 72
    short[50] = 0.5
    of = ward([long, short], [NAN, 55.0])
    six, twelve = (
        at_budgets(of, draws=0, seed=1, budgets=(7 / 6,), stages=Stages(silence_h=hours))["1.16667"] for hours in (6, 12)
    )
    assert (six.sensitivity, twelve.sensitivity) == (0, 1)
    assert twelve.alarms_per_patient_day == 7 / 6


def test_a_random_score_finds_what_chance_finds() -> None:
    """At one alarm a day, an event has a chance near 1 - (1 - p)^13 to lie within twelve hours of an alarm."""
    rng = np.random.default_rng(2)
    of = Grid(score=rng.random((72, 3000)), event_h=np.full(3000, 48.0), days=9000.0)
    at = at_budgets(of, draws=0, seed=1, budgets=(1.0,))["1"]
    assert at.alarms_per_patient_day == pytest.approx(1, abs=0.02)
    assert at.sensitivity == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("stages", "scores", "at"),
    [
        # hour 0 1 2 3 4 5 6 7 8 9
        (Stages(silence_h=4), "9999999999", [0, 4, 8]),
        (Stages(sustained_h=3), "0990999909", [6]),
        (Stages(sustained_h=2, silence_h=5), "9999999999", [1, 6]),  # hours in the silence count as sustained
        (Stages(sustained_h=2), "99-9999999", [1, 7]),  # an hour without a score ends the run
    ],
    ids=["silence", "sustained", "both", "a gap"],
)
def test_a_stage_moves_the_alarms(stages: Stages, scores: str, at: list[int]) -> None:
    """Ten patients of the same course; the event of each comes an hour after that of the one before."""
    column = [NAN if digit == "-" else float(digit) for digit in scores]
    found = raise_alarms(ward([column] * 10, [float(hour) for hour in range(10)]), 8.0, stages)
    assert found.alarms.tolist() == [len(at)] * 10
    assert found.true.tolist() == [sum(hour <= event for hour in at) for event in range(10)]
    assert found.first_h.tolist() == [at[0]] * 10
