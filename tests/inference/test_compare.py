"""A shadow beside its champion."""

from __future__ import annotations

import pytest

from inference.compare import REFRACTORY_MS, compare

MINUTE = 60_000
VERSIONS = ("1", "2")


def scored(*scores: float | None, patient: str = "p", start: int = 0) -> dict[tuple[str, int], float | None]:
    return {(patient, start + k * MINUTE): score for k, score in enumerate(scores)}


def test_equal_versions_agree_fully() -> None:
    found = compare(scored(0.1, 0.5, 0.3, None), scored(0.1, 0.5, 0.3, None), VERSIONS, (0.4, 0.4))
    assert (found.both, found.mean_difference, found.largest_difference) == (3, 0, 0)
    assert found.rank_correlation == pytest.approx(1)
    assert found.champion.unscored == found.shadow.unscored == 0.25
    assert found.champion.alarms == 1


def test_the_opposite_order_is_seen() -> None:
    found = compare(scored(0.1, 0.2, 0.3), scored(0.9, 0.8, 0.7), VERSIONS, (None, None))
    assert found.rank_correlation == pytest.approx(-1)
    assert found.mean_difference == pytest.approx(0.6)
    assert found.champion.alarms_per_patient_day is None


def test_equal_scores_share_their_rank() -> None:
    assert compare(scored(1, 1, 2, 3), scored(5, 5, 6, 7), VERSIONS, (None, None)).rank_correlation == pytest.approx(1)
    assert compare(scored(1, 1, 1), scored(1, 2, 3), VERSIONS, (None, None)).rank_correlation is None


@pytest.mark.parametrize(
    ("gap_ms", "alarms"), [(MINUTE, 1), (REFRACTORY_MS - MINUTE, 1), (REFRACTORY_MS, 2)]
)
def test_an_alarm_is_not_counted_twice_within_six_hours(gap_ms: int, alarms: int) -> None:
    twice = {("p", 0): 0.9, ("p", gap_ms): 0.9}
    assert compare(twice, {}, VERSIONS, (0.5, None)).champion.alarms == alarms


def test_alarms_are_counted_for_each_patient_and_day() -> None:
    day = {**scored(*[0.9] * 720, patient="a"), **scored(*[0.1] * 720, patient="b")}
    side = compare(day, {}, VERSIONS, (0.5, 0.5)).champion
    assert side.alarms == 2  # twelve hours: at once, and six hours later
    assert side.alarms_per_patient_day == 2.0


def test_with_nothing_stored_nothing_is_said() -> None:
    found = compare({}, {}, VERSIONS, (0.5, 0.5))
    assert (found.both, found.rank_correlation, found.champion.mean, found.shadow.alarms) == (0, None, None, 0)
