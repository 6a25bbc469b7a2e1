"""Silence is decided by ticks alone: 30 s by the shipped rules, longer for devices that measure now and then."""

from __future__ import annotations

import pytest

from alerting.rules.load import parse
from contracts.alarms import AlarmEvent, Lane, alarm_id
from contracts.manual import DEVICE
from infra.runtime.records import Record
from tests.alerting.timeline import ADA, T0, Sample, brief, drawn, events, frame, live, new_room, patients, tick


def beds(count: int, at: float) -> Record:
    """One heart rate of each of `count` patients, a little different each second."""
    return frame([Sample(at=at, value=72 + at % 2, metric="heart_rate", patient=p, device=f"d-{p}") for p in patients(count)])


def silent(found: list[AlarmEvent]) -> list[AlarmEvent]:
    return [e for e in found if e.condition.startswith("device_silent:")]


def test_a_device_that_stops_is_told_after_its_limit() -> None:
    found = events(new_room().step(live(drawn("97*10"), until=60)))
    (event,) = silent(found)
    assert brief([event]) == [(40, "device_silent:d-17", "raised", "medium")]  # last heard at 9; 30 s pass; the next tick
    assert event.text == "Device d-17 silent for 30 s"
    assert (event.lane, event.device, event.patient) == (Lane.TECHNICAL, "d-17", ADA)
    assert event.alarm_id == alarm_id(ADA, "device_silent:d-17", T0 + 9_000)
    assert event.condition_ms == T0 + 39_000


def test_new_data_ends_it_at_the_next_tick() -> None:
    samples = [*drawn("97*10"), *drawn("97*5", start=60)]
    assert brief(silent(events(new_room().step(live(samples))))) == [
        (40, "device_silent:d-17", "raised", "medium"),
        (61, "device_silent:d-17", "cleared", "medium"),
    ]


@pytest.mark.parametrize("gone", [1, 80])
def test_each_silent_device_is_told_the_others_are_not(gone: int) -> None:
    everyone = patients(100)
    room = new_room()
    found: list[AlarmEvent] = []
    for second in range(61):
        quiet = set(everyone[:gone]) if second >= 10 else set()
        rows = [
            Sample(at=second, value=72, metric="heart_rate", patient=p, device=f"d-{p}") for p in everyone if p not in quiet
        ]
        found += events(room.step([tick(second), *([frame(rows)] if rows else [])]))
    assert {e.patient for e in found} == set(everyone[:gone])
    assert {(e.at_ms - T0) / 1000 for e in found} == {40}
    assert len({e.alarm_id for e in found}) == gone


def test_two_devices_of_one_patient_are_two_alarms() -> None:
    rows = [Sample(at=0, value=97, device="oximeter"), Sample(at=0, value=72, metric="heart_rate", device="ecg")]
    found = events(new_room().step([tick(0), frame(rows), *(tick(at) for at in range(1, 40))]))
    assert sorted(e.text for e in found) == ["Device ecg silent for 30 s", "Device oximeter silent for 30 s"]
    assert len({e.alarm_id for e in found}) == 2


def test_one_device_name_may_serve_many_patients() -> None:
    """A central station sends for everyone: each patient is watched by himself."""
    names = patients(3)
    room = new_room()
    found: list[AlarmEvent] = []
    for second in range(50):
        rows = [Sample(at=second, value=97, patient=p, device="central") for p in names[: 3 if second < 10 else 2]]
        found += events(room.step([tick(second), frame(rows)]))
    assert [(e.patient, e.change) for e in found] == [(names[2], "raised")]


LIMITS = [
    ("a glucose meter is not silent after half a minute", ["glucose"], None),
    ("a cuff may be quiet until its value expires", ["systolic_bp", "diastolic_bp"], 900),
    ("the fastest metric decides", ["systolic_bp", "spo2"], 30),
    ("respiration expires after 30 s", ["respiratory_rate"], 30),
]


@pytest.mark.parametrize(("metrics", "after"), [row[1:] for row in LIMITS], ids=[row[0] for row in LIMITS])
def test_limit_follows_what_the_device_measures(metrics: list[str], after: int | None) -> None:
    values = {"glucose": 110, "systolic_bp": 120, "diastolic_bp": 75, "spo2": 97, "respiratory_rate": 16}
    rows = [Sample(at=0, value=values[m], metric=m) for m in metrics]
    found = events(new_room().step([tick(0), frame(rows), *(tick(at) for at in range(1, 1000))]))
    assert [(e.at_ms - T0) // 1000 for e in found] == ([after + 1] if after else [])


def test_when_nobody_listened_nobody_was_silent() -> None:
    """The gateway is away for 5 minutes, ticks and data alike; when it comes back, devices need a moment to return."""
    room = new_room()
    room.step([r for at in range(10) for r in (tick(at), beds(50, at))])
    back = [tick(at) for at in range(310, 315)]
    found = events(room.step([*back, beds(50, 315), *(tick(at) for at in range(316, 330))]))
    assert found == []


def test_after_an_outage_those_who_stay_away_are_told() -> None:
    room = new_room()
    room.step([r for at in range(10) for r in (tick(at), beds(3, at))])
    found = events(room.step([r for at in range(310, 360) for r in (tick(at), beds(2, at))]))
    # 10 s of the outage count, then 21 s of listening: more than 30.
    assert [(e.patient, (e.at_ms - T0) // 1000) for e in found] == [(patients(3)[2], 331)]


def test_catching_up_with_a_backlog_is_not_silence() -> None:
    """The alerting was down for 10 minutes and reads the log at full speed: what matters is what the log says."""
    room, other = new_room(), new_room()
    log = [r for at in range(700) for r in (tick(at), beds(20, at))]
    assert events(other.step(log[:100])) == []
    room.restore(other.snapshot())
    assert events(room.step(log[100:])) == []


def test_only_data_in_time_counts_as_heard() -> None:
    """A device that drains an old queue leaves its patient unwatched, and the alarm says so."""
    room = new_room()
    room.step(live(drawn("97*10")))
    backlog = [r for at in range(10, 60) for r in (tick(at), frame([Sample(at=at - 3600, value=97)], received=at))]
    (event,) = silent(events(room.step(backlog)))
    assert event.text == "Device d-17 has sent only old data for 30 s"


def test_history_filled_in_for_a_new_device_never_alarms() -> None:
    room = new_room()
    old = [frame([Sample(at=at, value=70, device="imported")], received=7200) for at in range(100)]
    assert events(room.step([tick(7200), *old, *(tick(7200 + at) for at in range(1, 120))])) == []


def test_devices_never_heard_are_not_silent() -> None:
    assert new_room().step([tick(at) for at in range(500)]) == []


def test_sensor_off_is_not_silence() -> None:
    assert silent(events(new_room().step(live(drawn("off*90"))))) == []


def test_ticks_that_go_back_or_repeat_change_nothing() -> None:
    log = live(drawn("97*10"), until=60)
    doubled = [r for record in log for r in (record, tick(3))]
    assert events(new_room().step(doubled)) == events(new_room().step(log))


def test_without_a_rule_there_is_no_silence_and_an_open_alarm_ends() -> None:
    without = parse({}, version=1)
    room = new_room(without)
    room.step(live(drawn("97*10"), until=45))
    found = events(room.step([tick(46, 1), *(tick(at, 1) for at in range(47, 90))]))
    assert [(e.change, e.text) for e in found] == [("cleared", "Device d-17 silent: the rule was withdrawn")]


def test_before_the_first_tick_the_clock_of_silence_does_not_run() -> None:
    room = new_room()
    room.step([frame([Sample(at=0, value=97)])])
    assert events(room.step([tick(500), tick(501)])) == []
    (event,) = events(room.step([tick(501 + at) for at in range(1, 31)]))
    assert event.onset_ms == T0 + 500_000


def test_what_a_person_writes_down_once_is_no_device_that_falls_silent() -> None:
    by_hand = [Sample(at=5, value=82, metric="systolic_bp", device=DEVICE), Sample(at=5, value=20, device=DEVICE)]
    found = events(new_room().step(live(by_hand, until=3600)))
    assert silent(found) == []
    low = next(event for event in found if event.condition == "systolic_bp_low")
    assert low.device == DEVICE, "judged like a device's, and its source is seen"
