"""Limit conditions, drawn: one token a second. Shipped rules: SpO2 below 90 for 15 s medium, below 80 for 5 s high,
ends after 30 s at 92 or more; heart rate 50-120 after 10 s, 40-150 high after 5 s."""

from __future__ import annotations

import pytest

from alerting.rules.load import parse
from contracts.alarms import AlarmEvent, Lane, State, alarm_id
from contracts.readings import Quality
from infra.runtime.sql.episodes import Alarm, advance
from tests.alerting.timeline import ADA, T0, Sample, brief, drawn, events, frame, live, new_room, of_limits, play, tick

# reason, SpO2 line, what happens: (second, change, priority)
SPO2 = [
    ("in range is no alarm", "97*60", []),
    ("at the limit is no breach", "90*60", []),
    ("a dip shorter than the onset delay", "97*5 85*15 97*60", []),
    ("held for 15 s: 5 to 20", "97*5 85*16", [(20, "raised", "medium")]),
    ("one sample at 90 breaks the onset", "85*14 90 85*14", []),
    ("the onset starts again after the break", "85*14 90 85*16", [(30, "raised", "medium")]),
    ("below 80 for 5 s is high at once", "97*5 75*6", [(10, "raised", "high")]),
    ("a single stray 60 does not page", "97*5 60 97*30", []),
    ("worsens under the same alarm", "85*20 75*6", [(15, "raised", "medium"), (25, "worsened", "high")]),
    ("below 80 then 85: the warn limit has held all along", "75*3 85*13", [(15, "raised", "medium")]),
    ("never less urgent while active", "75*6 85*30", [(5, "raised", "high")]),
    ("ends after 30 s at 92 or more", "85*16 92*31", [(15, "raised", "medium"), (46, "cleared", "medium")]),
    ("29 s are not enough", "85*16 92*30", [(15, "raised", "medium")]),
    ("91 is not inside the margin: it neither ends nor holds", "85*16 91*60", [(15, "raised", "medium")]),
    ("91 starts the end anew", "85*16 95*29 91 95*31", [(15, "raised", "medium"), (76, "cleared", "medium")]),
    ("a new breach after the end is a new alarm", "85*16 95*31 85*16",
     [(15, "raised", "medium"), (46, "cleared", "medium"), (62, "raised", "medium")]),
    ("flapping around the limit is one alarm at most", "89*16" + " 91*3 89*3" * 200, [(15, "raised", "medium")]),
    ("flapping at 1 Hz never holds", "89 91 " * 600, []),
    ("bad samples neither hold nor break", "85*5 bad:71*5 85*6", [(15, "raised", "medium")]),
    ("questionable samples count", "q:85*16", [(15, "raised", "medium")]),
    ("a gap of up to 90 s holds: a wearable that sends once a minute", "85 .*59 85", [(60, "raised", "medium")]),
    ("a longer gap starts the onset again", "85 .*95 85*15", []),
    ("an active alarm stays through a gap", "85*16 .*200 85", [(15, "raised", "medium")]),
    ("a gap does not count as time inside", "85*16 95 .*95 95", [(15, "raised", "medium")]),
]


@pytest.mark.parametrize(("line", "expected"), [row[1:] for row in SPO2], ids=[row[0] for row in SPO2])
def test_spo2(line: str, expected: list[tuple[float, str, str]]) -> None:
    found = [e for e in play(drawn(line)) if e.condition == "spo2_low"]
    assert [(at, change, priority) for at, _, change, priority in brief(found)] == expected


HEART_RATE = [
    ("above 120 for 10 s", "130*11", [(10, "heart_rate_high", "raised", "medium")]),
    ("below 50 for 10 s", "45*11", [(10, "heart_rate_low", "raised", "medium")]),
    ("below 40 for 5 s", "38*6", [(5, "heart_rate_low", "raised", "high")]),
    ("above 150 for 5 s", "170*6", [(5, "heart_rate_high", "raised", "high")]),
    ("from one side to the other: two conditions", "130*11 45*11",
     [(10, "heart_rate_high", "raised", "medium"), (21, "heart_rate_low", "raised", "medium")]),
]


@pytest.mark.parametrize(("line", "expected"), [row[1:] for row in HEART_RATE], ids=[row[0] for row in HEART_RATE])
def test_heart_rate(line: str, expected: list[tuple[float, str, str, str]]) -> None:
    assert brief(play(drawn(line, "heart_rate"))) == expected


def test_one_deterioration_is_one_alarm() -> None:
    raised, worsened, cleared = play(drawn("97*5 85*20 75*6 95*31"))
    assert {e.alarm_id for e in (raised, worsened, cleared)} == {alarm_id(ADA, "spo2_low", T0 + 5_000)}
    assert [e.alarm_version for e in (raised, worsened, cleared)] == [1, 2, 3]
    assert [e.state for e in (raised, worsened, cleared)] == [State.ACTIVE, State.ACTIVE, State.LATCHED]
    assert len({e.event_id for e in (raised, worsened, cleared)}) == 3
    assert {(e.onset_ms - T0, e.condition_ms - T0) for e in (raised, worsened, cleared)} == {(5_000, 20_000)}


def test_an_event_says_what_a_monitor_says() -> None:
    (event,) = play(drawn("86*16"))
    assert event.text == "**SpO2 86 < 90"
    (reason,) = event.reasons
    assert (reason.kind, reason.metric, reason.value, reason.limit, reason.unit) == ("limit", "spo2", 86.0, 90.0, "%")
    assert reason.since_ms == T0
    assert (event.patient, event.device, event.metric) == (ADA, "d-17", "spo2")
    assert (event.lane, event.rule_version, event.feed_seq) == (Lane.PHYSIOLOGICAL, 0, None)


TEXTS = [
    ("heart_rate", "38*6", "***HR 38 < 40"),
    ("heart_rate", "130.4*11", "**HR 130 > 120"),
    ("spo2", "89.6*16", "**SpO2 89.6 < 90"),  # never "90 < 90"
    ("temperature", "39.4*61", "**Temp 39.4 > 39"),
]


@pytest.mark.parametrize(("metric", "line", "text"), TEXTS)
def test_texts(metric: str, line: str, text: str) -> None:
    assert [e.text for e in play(drawn(line, metric))] == [text]


def test_the_end_tells_how_far_it_went() -> None:
    assert play(drawn("85*16 83 95*31"))[-1].text == "SpO2 back at 95, lowest 83"


IMPLAUSIBLE = [
    ("0 may be asystole: technical alarm", "heart_rate", "72*5 0*6", [(10, "heart_rate_implausible", "raised", "medium")]),
    ("as sent by a gateway, marked bad already", "heart_rate", "bad:0*6",
     [(5, "heart_rate_implausible", "raised", "medium")]),
    ("one stray zero does not page", "heart_rate", "72*5 0 72*30", []),
    ("too high is not plausible either", "spo2", "140*6", [(5, "spo2_implausible", "raised", "medium")]),
    ("ends after 5 s of usable samples", "heart_rate", "0*6 72*6",
     [(5, "heart_rate_implausible", "raised", "medium"), (11, "heart_rate_implausible", "cleared", "medium")]),
    ("a sensor known to be off is not implausible", "heart_rate", "off*20", []),
    ("sensor off for 30 s", "spo2", "off*31", [(30, "spo2_signal", "raised", "low")]),
    ("no usable signal for 30 s", "spo2", "bad:80*31", [(30, "spo2_signal", "raised", "low")]),
    ("a good sample breaks it", "spo2", "off*20 97 off*20", []),
    ("the alarm beside: an active limit alarm stays while the sensor is off", "spo2", "85*16 off*31",
     [(15, "spo2_low", "raised", "medium"), (46, "spo2_signal", "raised", "low")]),
]


@pytest.mark.parametrize(("metric", "line", "expected"), [row[1:] for row in IMPLAUSIBLE], ids=[r[0] for r in IMPLAUSIBLE])
def test_signal_quality(metric: str, line: str, expected: list[tuple[float, str, str, str]]) -> None:
    found = play(drawn(line, metric))
    assert brief(found) == expected
    assert all(e.lane is Lane.TECHNICAL for e in found if e.condition != "spo2_low")


def test_an_implausible_value_is_told_apart_from_a_vital_sign() -> None:
    (event,) = play(drawn("0*6", "heart_rate"))
    assert event.text == "HR 0 not plausible for 5 s: asystole, apnoea or sensor off?"
    assert (event.reasons[0].kind, event.reasons[0].value, event.reasons[0].limit) == ("implausible", 0.0, 10.0)


SPOT = [
    ("one glucose value is enough, without delay", "glucose", "55 .*10", [(0, "glucose_low", "raised", "medium")]),
    ("one glucose value outside what a meter can show", "glucose", "3 .*10",
     [(5, "glucose_implausible", "raised", "medium")]),
    ("one cuff pressure stands: 15 s after it", "systolic_bp", "80 .*30", [(15, "systolic_bp_low", "raised", "medium")]),
    ("a better value before the delay ends it", "systolic_bp", "80 .*9 120 .*30", []),
    ("one value inside ends it 30 s later", "systolic_bp", "80 .*19 120 .*60",
     [(15, "systolic_bp_low", "raised", "medium"), (50, "systolic_bp_low", "cleared", "medium")]),
    ("a continuous signal needs a second sample", "spo2", "70 .*60", []),
]


@pytest.mark.parametrize(("metric", "line", "expected"), [row[1:] for row in SPOT], ids=[row[0] for row in SPOT])
def test_spot_measurements(metric: str, line: str, expected: list[tuple[float, str, str, str]]) -> None:
    seconds = sum(int(t.partition("*")[2] or 1) for t in line.split())
    assert brief(play(drawn(line, metric), until=seconds)) == expected


def test_late_rows_never_raise() -> None:
    """An outage of an hour is sent again: the old breach is history, not an alarm."""
    room = new_room()
    room.step([tick(3600), frame([Sample(at=3600, value=97)])])
    old = [Sample(at=at, value=70, metric=metric) for at in range(0, 3500) for metric in ("spo2", "heart_rate")]
    assert events(room.step([frame(old, received=3600), tick(3601)])) == []
    assert room.counts.late == len(old)


def test_late_rows_do_not_end_an_alarm() -> None:
    room = new_room()
    room.step(live(drawn("85*60")))
    late = frame([Sample(at=at, value=97) for at in range(20, 58)], received=60)
    assert events(room.step([late, tick(61)])) == []
    assert room.active == 1


def test_a_row_15_s_behind_the_clock_still_counts() -> None:
    """A batch uploaded 15 s after it was measured: exactly the grace."""
    room = new_room()
    found = events(room.step([tick(20), frame([Sample(at=at, value=75) for at in range(5, 21)], received=20)]))
    assert brief(found) == [(10, "spo2_low", "raised", "high"), (20, "spo2_low", "worsened", "high")][:1]


def test_many_seconds_of_one_patient_in_one_frame_are_seen_in_event_order() -> None:
    samples = drawn("97*5 85*20 75*6 95*31")
    shuffled = sorted(samples, key=lambda s: (s.at * 7919) % 61)
    records = [tick(0), frame(shuffled, received=62)]
    assert events(new_room().step(records)) == play(samples)


def test_within_one_moment_the_higher_rank_counts() -> None:
    rows = [Sample(at=at, value=85 if rank else 97, seq=at * 2 + rank) for at in range(16) for rank in (1, 0)]
    assert brief(events(new_room().step([tick(0), frame(rows, received=15)]))) == [(15, "spo2_low", "raised", "medium")]
    rows = [Sample(at=at, value=97 if boot else 85, boot=boot, seq=at) for at in range(16) for boot in (1, 0)]
    assert events(new_room().step([tick(0), frame(rows, received=15)])) == []


def test_before_the_first_tick_rows_are_judged_all_the_same() -> None:
    room = new_room()
    found = [e for second in drawn("75*6") for e in events(room.step([frame([second])]))]
    assert brief(found) == [(5, "spo2_low", "raised", "high")]


def test_patients_and_metrics_do_not_touch_each_other() -> None:
    room = new_room()
    names = [ADA, *(f"x-{i}" for i in range(100))]
    mine = [n for n in names if n == ADA]
    found: list[AlarmEvent] = []
    for second in range(16):
        rows = [Sample(at=second, value=97, patient=n, device=f"d-{n}") for n in names[1:]]
        rows.insert(50, Sample(at=second, value=85, patient=mine[0]))
        found += events(room.step([tick(second), frame(rows)]))
    assert brief(found) == [(15, "spo2_low", "raised", "medium")]
    assert room.counts.foreign > 0  # x-... mostly belong to other partitions and are left out


def test_after_its_end_the_next_one_waits_unless_it_is_of_high_priority() -> None:
    rule = {"metric": "spo2", "direction": "low", "limit": 90, "critical": 80, "refractory_s": 120}
    rules = parse({"version": 1, "limits": [rule]}, version=1)

    def told(line: str) -> list[tuple[float, str, str]]:
        found = of_limits(events(new_room(rules).step(live(drawn(line), version=1))))
        return [(at, change, priority) for at, _, change, priority in brief(found)]

    first = [(15, "raised", "medium"), (50, "cleared", "medium")]
    assert told("85*20 95*40 85*200") == [*first, (170, "raised", "medium")]
    assert told("85*20 95*40 85*40 95*200") == first
    assert told("85*20 95*40 75*40") == [*first, (65, "raised", "high")]


def test_other_priorities_latch_where_the_rules_say_so() -> None:
    """On the stream, and for SQL: the end carries what holds for it."""
    for latching, state in ((["high"], State.RESOLVED), (["high", "medium"], State.LATCHED)):
        rules = parse({"version": 1, "latching": latching, "limits": [{"metric": "spo2", "direction": "low"}]}, version=1)
        raised, cleared = of_limits(events(new_room(rules).step(live(drawn("85*20 95*40"), version=1))))
        assert (cleared.change, cleared.state) == ("cleared", state)
        alarm = advance(advance(None, raised, 1), cleared, 2)  # type: ignore[arg-type]
        assert isinstance(alarm, Alarm)
        assert alarm.state is state


def test_a_rule_may_ask_for_good_quality() -> None:
    strict = parse({"limits": [{"metric": "spo2", "direction": "low", "quality": "good"}]}, version=1)
    room = new_room(strict)
    samples = [Sample(at=at, value=85, quality=Quality.QUESTIONABLE) for at in range(60)]
    assert events(room.step(live(samples, version=1))) == []
