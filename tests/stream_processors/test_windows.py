"""Windows in event time: when they close, what is in them, and what late readings do. Each case draws its window."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from stream_processors.policy import Policy
from tests.stream_processors.logs import PATIENTS, Log, Sample, feature, room, run, short, windows


def steady(seconds: int, value: float = 70, patient: int = 0, until_tick: int | None = None) -> Log:
    """One reading a second from T0, a tick after each, then ticks alone until `until_tick`."""
    log = Log().tick(0)
    for s in range(seconds):
        log.samples([Sample(at=s, value=value + s % 2, patient=patient, seq=s)]).tick(s + 1)
    for s in range(seconds, until_tick or seconds):
        log.tick(s + 1)
    return log


def test_a_window_closes_when_its_patient_has_passed_its_end_by_the_lateness() -> None:
    # readings 0 1 2 ... 61 | newest 61 - lateness 2 = 59: [0, 60) is still open
    assert [r["end"] for r in windows(run(steady(62)))] == [10, 20, 30, 40, 50]
    # readings 0 ... 62     | 62 - 2 = 60: [0, 60) closes
    assert [r["end"] for r in short(run(steady(63)))] == [10, 20, 30, 40, 50, 60]


def test_a_reading_at_the_end_belongs_to_the_next_window() -> None:
    #  [0 ------------ 10)[10
    #   reading at 9.999 ^ ^ reading at 10.000
    log = Log().tick(0).samples([Sample(at=9.999, value=70, seq=1), Sample(at=10, value=90, seq=2)]).tick(11).tick(30)
    rows = short(run(log))
    assert [(r["end"], feature(r, "heart_rate.max")) for r in rows] == [(10, 70)]
    log.tick(35)
    assert [(r["end"], feature(r, "heart_rate.max")) for r in short(run(log))] == [(10, 70), (20, 90)]


def test_the_last_windows_of_a_silent_patient_close_by_the_ticks_and_then_no_more_come() -> None:
    # readings [0 ... 65), silence; ticks go on. Windows with any of them end at 70 ... 120.
    rows = short(run(steady(65, until_tick=400)))
    assert [r["end"] for r in rows] == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120]
    assert feature(rows[-1], "heart_rate.count") == 5
    assert feature(rows[-1], "heart_rate.coverage") == pytest.approx(5 / 60)
    # Of five minutes: those that end at 60 ... 360 still hold a reading.
    assert [r["end"] for r in windows(run(steady(65, until_tick=400))) if r["span"] == 300] == [60, 120, 180, 240, 300, 360]


def test_statistics_of_a_whole_window() -> None:
    (row,) = [r for r in short(run(steady(65))) if r["end"] == 60]
    values = [70 + s % 2 for s in range(60)]
    assert feature(row, "heart_rate.count") == 60
    assert feature(row, "heart_rate.coverage") == 1
    assert feature(row, "heart_rate.good") == 1
    assert feature(row, "heart_rate.mean") == pytest.approx(70.5)
    assert feature(row, "heart_rate.std") == pytest.approx(statistics.stdev(values), rel=1e-6)
    assert feature(row, "heart_rate.min") == 70
    assert feature(row, "heart_rate.max") == 71
    assert feature(row, "heart_rate.last") == 71
    assert feature(row, "heart_rate.median") == 70.5
    assert feature(row, "heart_rate.slope") == pytest.approx(np.polyfit(range(60), values, 1)[0] * 60, rel=1e-5)


def test_a_single_value_has_no_spread_and_no_slope() -> None:
    (row,) = short(run(Log().tick(0).samples([Sample(at=5, value=70)]).tick(30)))
    assert feature(row, "heart_rate.median") == 70
    assert "heart_rate.std" not in row["features"]
    assert "heart_rate.slope" not in row["features"]


def test_the_long_window_is_made_of_the_same_seconds() -> None:
    rows = [r for r in windows(run(steady(305))) if r["span"] == 300]
    assert [r["end"] for r in rows] == [60, 120, 180, 240, 300]
    values = [70 + s % 2 for s in range(300)]
    assert feature(rows[-1], "heart_rate.count") == 300
    assert feature(rows[-1], "heart_rate.coverage") == 1
    assert feature(rows[-1], "heart_rate.mean") == pytest.approx(70.5)
    assert feature(rows[-1], "heart_rate.std") == pytest.approx(statistics.stdev(values), rel=1e-6)
    assert feature(rows[-1], "heart_rate.last") == 71
    assert feature(rows[-1], "heart_rate.slope") == pytest.approx(np.polyfit(range(300), values, 1)[0] * 60, rel=1e-4)
    assert "heart_rate.median" not in rows[-1]["features"]


def test_a_slow_metric_is_fully_covered_by_the_values_it_should_have() -> None:
    # glucose_interstitial comes every five minutes: one value in a minute is all that can be expected
    log = Log().tick(0).samples([Sample(at=5, value=110, metric="glucose_interstitial")]).tick(30)
    (row,) = short(run(log))
    assert feature(row, "glucose_interstitial.coverage") == 1


def test_within_a_second_the_newest_wins_whatever_comes_first() -> None:
    early, late = Sample(at=5.1, value=60, seq=1), Sample(at=5.9, value=90, seq=2)
    for order in ([early, late], [late, early]):
        for log in (Log().tick(0).samples(order).tick(30), Log().tick(0).samples(order[:1]).tick(1).samples(order[1:]).tick(30)):
            (row,) = short(run(log))
            assert feature(row, "heart_rate.mean") == 90
            assert feature(row, "heart_rate.count") == 1


def test_in_one_millisecond_the_higher_sequence_number_wins() -> None:
    for order in ([(1, 60), (2, 90)], [(2, 90), (1, 60)]):
        samples = [Sample(at=5, value=value, seq=seq) for seq, value in order]
        (row,) = short(run(Log().tick(0).samples(samples).tick(30)))
        assert feature(row, "heart_rate.mean") == 90


def test_a_resent_reading_changes_nothing_and_is_counted() -> None:
    again = [Sample(at=3, value=80, seq=7)]
    once = windows(run(Log().tick(0).samples(again).tick(30)))
    for log in (
        Log().tick(0).samples(again).samples(again).tick(30),
        Log().tick(0).samples(again).tick(1).samples(again).tick(30),
    ):
        processors = room()
        assert windows(run(log, processors)) == once
        assert processors.counts.repeats == 1


def test_of_two_readings_with_one_identity_the_first_in_the_log_stays() -> None:
    first, second = Sample(at=3, value=80, seq=7), Sample(at=3, value=90, seq=7)
    together = Log().tick(0).samples([first, second]).tick(30)
    apart = Log().tick(0).samples([first]).tick(1).samples([second]).tick(30)
    for log in (together, apart):
        assert feature(short(run(log))[0], "heart_rate.mean") == 80


def test_bad_and_unworn_values_never_count_questionable_ones_lower_the_quality() -> None:
    samples = [Sample(at=s, value=70, seq=s, quality=q) for s, q in enumerate([0, 1, 2, 3])]
    (row,) = short(run(Log().tick(0).samples(samples).tick(30)))
    assert feature(row, "heart_rate.count") == 2
    assert feature(row, "heart_rate.good") == 0.5


def test_an_impossible_value_is_never_a_value() -> None:
    log = Log().tick(0).samples([Sample(at=5, value=900), Sample(at=6, value=70, seq=1)]).tick(30)
    processors = room()
    (row,) = short(run(log, processors))
    assert feature(row, "heart_rate.max") == 70
    assert processors.counts.implausible == 1


def test_a_window_with_nothing_usable_is_not_sent() -> None:
    log = Log().tick(0).samples([Sample(at=5, value=0, quality=3)]).tick(30)
    assert windows(run(log)) == []


def test_a_late_reading_revises_every_window_it_belongs_to_and_says_so() -> None:
    # closed: [..., 10) ... [20, 80). At 84 a reading of second 15 arrives.
    #   10        20        70        80
    #   |----15---|         |         |     windows ending 20, 30, ... 70 contain it
    log = steady(84)
    log.samples([Sample(at=15.5, value=200, seq=9000, received=84)]).tick(85)
    revised = [r for r in windows(run(log)) if r["revised"]]
    assert [(r["span"], r["end"], r["late"]) for r in revised] == [
        *[(60, end, 1) for end in (20, 30, 40, 50, 60, 70)],
        (300, 60, 1),
    ]
    assert all(feature(r, "heart_rate.max") == 200 for r in revised)


def test_late_readings_of_several_ticks_add_up() -> None:
    log = steady(84)
    for number in range(3):
        log.samples([Sample(at=15.5 + number, value=200, seq=9000, received=85)]).tick(85 + number)
    revised = [(r["end"], r["late"]) for r in short(run(log)) if r["revised"] and r["end"] == 20]
    assert revised == [(20, 1), (20, 2), (20, 3)]


@pytest.mark.parametrize(
    ("sample", "why"),
    [
        (Sample(at=15, value=71, seq=15, received=84), "a repeat"),
        (Sample(at=15, value=200, seq=3, received=84), "of lower rank than the value of its second"),
        (Sample(at=69.5, value=0, seq=9, quality=3, received=84, metric="spo2"), "not usable, and nothing was there"),
    ],
)
def test_a_late_reading_that_changes_no_value_revises_nothing(sample: Sample, why: str) -> None:
    log = steady(84).samples([sample]).tick(85)
    assert [r for r in windows(run(log)) if r["revised"]] == [], why


def test_a_late_reading_takes_a_value_back_when_the_newest_of_its_second_is_bad() -> None:
    log = steady(84).samples([Sample(at=15.9, value=0, seq=9000, quality=2, received=84)]).tick(85)
    revised = [r for r in short(run(log)) if r["revised"]]
    assert [(r["end"], feature(r, "heart_rate.count")) for r in revised][:1] == [(20, 19)]


def test_a_reading_of_a_window_that_is_still_open_revises_only_those_that_are_not() -> None:
    # newest 83, closed up to 80. A reading of 79 is late for [20, 80), in time for [30, 90).
    log = steady(84).samples([Sample(at=79.5, value=200, seq=9000, received=84)]).tick(85)
    log.tick(110)
    rows = [(r["end"], r["revised"], r["late"]) for r in short(run(log)) if feature(r, "heart_rate.max") == 200]
    assert rows == [(80, 1, 1), (90, 0, 0)]


def test_a_reading_older_than_the_ring_is_counted_and_changes_no_window() -> None:
    # clock 184: hop 18; two minutes are 12 hops; hop 6 begins at 60
    for at, revised, too_old in ((60.5, 8, 0), (59.5, 0, 1)):
        processors = room()
        log = steady(184).samples([Sample(at=at, value=200, seq=9000, received=184)]).tick(185)
        rows = [r for r in windows(run(log, processors)) if r["revised"]]
        assert (len(rows), processors.counts.too_old) == (revised, too_old)


def test_one_fast_clock_does_not_close_another_patients_window() -> None:
    log = Log().tick(0)
    for s in range(20):
        log.samples([Sample(at=s, value=70, patient=0, seq=s), Sample(at=s + 4.9, value=70, patient=1, seq=s, received=s)])
        log.tick(s + 1)
    ends = {p: [r["end"] for r in short(run(log)) if r["patient"] == PATIENTS[p]] for p in (0, 1)}
    assert ends == {0: [10], 1: [10, 20]}


def test_a_tick_that_goes_back_is_ignored() -> None:
    once, processors = steady(84), room()
    back = Log()
    for record in once.records:
        back.raw(record.value, dict(record.headers)["content-type"].decode()).tick(-1)
    assert windows(run(back, processors)) == windows(run(once))
    assert processors.counts.ticks == 85


def test_windows_before_an_outage_of_the_ticks_close_with_their_data() -> None:
    log = steady(35).tick(5000)
    rows = short(run(log))
    assert [r["end"] for r in rows] == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert not any(r["revised"] for r in rows)
    # and life goes on after it
    log.samples([Sample(at=5001, value=70, seq=1)]).tick(5002).tick(5030)
    assert [r["end"] for r in short(run(log))][9:] == [5010]


def test_readings_wait_for_ticks_that_lag_behind_and_find_their_windows() -> None:
    # ticks stand still at 35 while readings of 35 ... 135 come; then a tick of 140: as if ticks had come all along
    log, smooth = steady(35), steady(135)
    for s in range(35, 135):
        log.samples([Sample(at=s, value=70 + s % 2, seq=s)])
    assert windows(run(log.tick(140))) == windows(run(smooth.tick(140)))


def test_readings_before_the_first_tick_wait_for_it() -> None:
    samples = [Sample(at=s, value=70, seq=s) for s in range(5)]
    log = Log().samples(samples).tick(5).tick(30)
    assert [(r["end"], r["revised"], feature(r, "heart_rate.count")) for r in short(run(log))] == [(10, 0, 5)]


def test_without_ticks_the_newest_rows_wait_and_the_rest_are_let_go() -> None:
    processors = room(Policy(waiting_rows=3))
    log = Log()
    for s in range(5):
        log.samples([Sample(at=s, value=70, seq=s)])
    (row,) = short(run(log.tick(5).tick(30), processors))
    assert feature(row, "heart_rate.count") == 3
    assert processors.counts.let_go == 2


def test_many_windows_go_in_frames_of_bounded_size() -> None:
    log = Log().tick(0).samples([Sample(at=5, value=60 + p, patient=p) for p in range(25)]).tick(30)
    outputs = run(log, room(Policy(frame_rows=10)))
    assert [o.topic for o in outputs] == ["vitals.windows"] * 3 + ["vitals.latest"] * 3
    assert windows(outputs) == windows(run(log))
