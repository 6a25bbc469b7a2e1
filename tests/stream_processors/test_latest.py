"""Latest rows: the newest reading of each metric with its own time, once a tick for patients that changed."""

from __future__ import annotations

import pytest

from tests.stream_processors.logs import PATIENTS, Log, Sample, latest, run

Row = tuple[float, str, float | None, float, int]


def rows(log: Log) -> list[Row]:
    """(tick, metric, value, time, quality)"""
    return [row[1:] for row in latest(run(log))]


def test_values_keep_their_own_time_and_never_go_back() -> None:
    log = Log().tick(0)
    log.samples([Sample(at=1, value=70, seq=1)]).tick(2)
    log.samples([Sample(at=0.5, value=50, seq=0)]).tick(3)  # a backlog
    log.tick(4)
    assert rows(log) == [(2, "heart_rate", 70, 1, 0)]


def test_a_value_is_shown_with_the_first_tick_after_it_however_many_a_second_has() -> None:
    log = Log().tick(0).samples([Sample(at=0.2, value=70, seq=1)]).tick(0.5)
    log.samples([Sample(at=0.7, value=71, seq=2)]).tick(1).tick(1.5)
    log.samples([Sample(at=1.6, value=72, seq=3)]).tick(2)
    assert rows(log) == [(0.5, "heart_rate", 70, 0.2, 0), (1, "heart_rate", 71, 0.7, 0), (2, "heart_rate", 72, 1.6, 0)]


@pytest.mark.parametrize("quality", [2, 3])
def test_a_bad_reading_takes_the_value_away_and_says_why(quality: int) -> None:
    log = Log().tick(0).samples([Sample(at=1, value=70, seq=1)]).tick(2)
    log.samples([Sample(at=3, value=70, seq=2, quality=quality)]).tick(4)
    assert rows(log) == [(2, "heart_rate", 70, 1, 0), (4, "heart_rate", None, 3, quality)]


def test_a_row_holds_what_is_known_of_the_other_metrics_too() -> None:
    log = Log().tick(0).samples([Sample(at=1, value=37, metric="temperature")]).tick(2)
    log.samples([Sample(at=3, value=70, seq=2), Sample(at=3, value=80, patient=1)]).tick(4)
    assert [row for row in latest(run(log)) if row[1] == 4] == [
        (PATIENTS[0], 4, "heart_rate", 70, 3, 0),
        (PATIENTS[0], 4, "temperature", 37, 1, 0),
        (PATIENTS[1], 4, "heart_rate", 80, 3, 0),
    ]


def test_what_is_older_than_five_minutes_is_left_to_the_viewers() -> None:
    log = Log().tick(0).samples([Sample(at=1, value=37, metric="temperature")]).tick(2)
    for second in (300, 302):
        log.samples([Sample(at=second, value=70, seq=second)]).tick(second)
    assert [row[:2] for row in rows(log)] == [(2, "temperature"), (300, "heart_rate"), (300, "temperature"), (302, "heart_rate")]


def test_a_reading_too_old_for_a_window_may_still_be_the_newest() -> None:
    log = Log().tick(0).tick(200)
    late = [Sample(at=10, value=36, metric="temperature", seq=1, received=200)]
    log.samples([*late, Sample(at=12, value=37, metric="temperature", seq=2, received=200)]).tick(201)
    log.samples(late).tick(202)
    assert rows(log) == [(201, "temperature", 37, 12, 0)]


def test_a_reading_older_than_five_minutes_is_not_shown_as_latest() -> None:
    log = Log().tick(0).tick(400).samples([Sample(at=10, value=37, received=400)]).tick(401)
    assert rows(log) == []


def test_a_resent_reading_is_no_change() -> None:
    again = [Sample(at=1, value=70, seq=1)]
    assert len(rows(Log().tick(0).samples(again).tick(2).samples(again).tick(3))) == 1


def test_of_several_readings_between_ticks_the_newest_is_shown() -> None:
    samples = [Sample(at=at, value=value) for at, value in ((2.5, 72), (1, 70), (2.7, 73), (2.6, 71))]
    assert rows(Log().tick(0).samples(samples).tick(3)) == [(3, "heart_rate", 73, 2.7, 0)]
