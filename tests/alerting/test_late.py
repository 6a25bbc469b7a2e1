"""Late data: never an alarm, and a finding where it would have been one."""

from __future__ import annotations

import pytest

from alerting.rules.load import parse
from contracts.alarms import AlarmEvent, Lane, Priority, State
from tests.alerting.timeline import ADA, T0, Sample, drawn, events, frame, live, new_room, of_limits, tick

# The device is away for ten minutes, and comes back at 700 with new data, then with what it has kept.
AWAY, BACK = range(100, 700), 700


def findings(kept: list[Sample], *, review: bool = True) -> list[AlarmEvent]:
    """A well patient's live data around the outage, and the backlog drained after it."""
    rules = () if review else (parse({"review_late": False}, version=1),)
    room, version = new_room(*rules), 0 if review else 1
    parts = [kept[i : i + 50] for i in range(0, len(kept), 50)]
    log = live([Sample(at=s, value=96 + s % 2) for s in range(100)], version=version)
    log += [tick(s, version) for s in AWAY]
    log += live([Sample(at=s, value=96 + s % 2) for s in range(BACK, BACK + 3)], version=version)
    log += [frame(part, received=BACK + 3) for part in parts]
    log += live([Sample(at=s, value=96 + s % 2) for s in range(BACK + 3, BACK + 20)], version=version)
    found = [e for e in events(room.step(log)) if "silent" not in e.condition]
    assert of_limits(found) == [], "late data never alarms"
    assert room.active == 0
    return found


def test_a_breach_in_late_data_is_found() -> None:
    (found,) = findings(drawn("85*20", start=300))
    assert (found.change, found.state, found.condition) == ("found", State.RETROSPECTIVE, "spo2_low:late")
    assert (found.onset_ms, found.condition_ms) == (T0 + 300_000, T0 + 315_000), "when it was"
    assert found.at_ms == T0 + (BACK + 2) * 1000, "when it was found"
    assert found.text == "Late data reviewed: SpO2 85 < 90 (6 min after it was measured)"
    assert (found.lane, found.priority, found.metric, found.patient) == (Lane.PHYSIOLOGICAL, Priority.MEDIUM, "spo2", ADA)
    assert [r.kind for r in found.reasons] == ["limit", "late"]


def test_a_finding_gets_worse_and_ends_under_the_same_id_and_is_never_active() -> None:
    found = findings(drawn("85*20 75*6 96*31", start=300))
    assert [e.change for e in found] == ["found", "worsened", "cleared"]
    assert {e.state for e in found} == {State.RETROSPECTIVE}
    assert len({e.alarm_id for e in found}) == 1
    assert [e.alarm_version for e in found] == [1, 2, 3]
    assert found[-1].text.startswith("Late data reviewed: SpO2 back at 96, lowest 75")


NOTHING = [
    ("within limits", "96*100"),
    ("too short", "85*10 96*30"),
    ("a sensor that was off", "off*100"),
]


@pytest.mark.parametrize("line", [row[1] for row in NOTHING], ids=[row[0] for row in NOTHING])
def test_what_would_not_have_alarmed_is_no_finding(line: str) -> None:
    assert findings(drawn(line, start=300)) == []


def test_a_heart_that_stood_still_is_found() -> None:
    """Zero may have been asystole: implausible values are reviewed too."""
    room = new_room()
    log = live([Sample(at=s, value=72 + s % 2, metric="heart_rate") for s in range(100)])
    log += [tick(s) for s in AWAY]
    log += live([Sample(at=s, value=72, metric="heart_rate") for s in range(BACK, BACK + 2)])
    log += [frame(drawn("0*10", "heart_rate", start=300), received=BACK + 2), tick(BACK + 3)]
    (found,) = [e for e in events(room.step(log)) if e.change == "found"]
    assert found.condition == "heart_rate_implausible:late"


def test_a_backlog_sent_twice_is_found_once() -> None:
    kept = drawn("85*20 96*40", start=300)
    once, twice = findings(kept), findings([*kept, *kept])
    assert [e.event_id for e in twice] == [e.event_id for e in once]


def test_live_data_sent_again_makes_no_finding() -> None:
    """A device that missed an answer sends a minute again: it was judged when it came."""
    room = new_room()
    samples = drawn("97*30 85*40 97*60")
    told = events(room.step(live(samples)))
    again = events(room.step([frame(samples[25:80], received=131), tick(132), frame(samples[25:80], received=133)]))
    assert [e.change for e in of_limits(told)] == ["raised", "cleared"]
    assert again == []


def test_a_device_that_only_sends_late_is_reviewed_all_along() -> None:
    """An uplink a minute behind: its patient is unwatched, which the silence alarm says, and what it sends is reviewed."""
    room = new_room()
    found = events(room.step(live([Sample(at=s, value=96 + s % 2) for s in range(60)])))
    for second in range(60, 300):
        rows = [Sample(at=second - 60 + 30, value=85 if 100 <= second < 140 else 96 + second % 2)]
        found += events(room.step([tick(second), frame(rows, received=second)]))
    assert [e.change for e in found if e.condition == "spo2_low:late"] == ["found", "cleared"]
    assert [e.change for e in found if "silent" in e.condition] == ["raised"]
    assert of_limits(found) == []


def test_history_of_a_metric_never_measured_before_is_not_reviewed() -> None:
    room = new_room()
    old = [Sample(at=at, value=70, device="imported") for at in range(100)]
    assert events(room.step([tick(7200), frame(old, received=7200), tick(7201)])) == []


def test_a_cuff_value_that_came_late_stands_until_it_expires() -> None:
    room = new_room()
    log = [tick(0), frame([Sample(at=0, value=120, metric="systolic_bp")])]
    log += [tick(s) for s in range(1, 3000)]
    log += [frame([Sample(at=2999, value=121, metric="systolic_bp")]), tick(3000)]
    log += [frame([Sample(at=1000, value=70, metric="systolic_bp")], received=3000), tick(3001)]
    (found,) = [e for e in events(room.step(log)) if e.change == "found"]
    assert (found.condition, found.onset_ms, found.at_ms) == ("systolic_bp_low:late", T0 + 1_000_000, T0 + 3_001_000)


def test_two_outages_are_two_findings() -> None:
    room = new_room()
    log = live([Sample(at=s, value=97) for s in range(10)])
    for start in (10, 400):
        log += [tick(s) for s in range(start, start + 290)]
        log += live([Sample(at=s, value=97) for s in range(start + 290, start + 390)])[:3]
        log += [frame(drawn("85*60", start=start + 20), received=start + 291)]
        log += live([Sample(at=s, value=97) for s in range(start + 292, start + 390)])
    found = [e for e in events(room.step(log)) if e.change == "found"]
    assert [(e.onset_ms - T0) // 1000 for e in found] == [30, 420]


def test_a_rule_set_may_leave_late_data_alone() -> None:
    assert findings(drawn("75*60", start=300), review=False) == []
