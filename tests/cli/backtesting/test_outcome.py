"""What came of alarms: which events they found, how long before, and where two sets of rules differ."""

from __future__ import annotations

import pytest

from cli.backtesting.outcome import Alarm, difference, outcome
from cli.backtesting.sources import Happened, Played
from contracts.alarms import Priority

HOUR_MS = 3_600_000


def played(happened: tuple[Happened, ...], days: float) -> Played:
    return Played(
        about="made up", every="second", patients=1, patient_days=days, happened=happened, seconds=60.0, steps=()
    )


def alarm(patient: str, at_h: float, condition: str = "spo2_low", **more: object) -> Alarm:
    return Alarm(
        alarm_id=f"{patient}{at_h}", patient=patient, condition=condition, at_ms=round(at_h * HOUR_MS),
        priority=Priority.MEDIUM, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def event(patient: str, at_h: int) -> Happened:
    return Happened(patient=patient, from_ms=(at_h - 12) * HOUR_MS, to_ms=at_h * HOUR_MS, at_ms=at_h * HOUR_MS)


def test_an_event_is_caught_by_an_alarm_in_its_time_and_by_no_other() -> None:
    happened = (event("a", 20), event("b", 20), event("c", 20), event("d", 20))
    alarms = [
        alarm("a", 14), alarm("a", 16),  # the first of them leads by six hours
        alarm("b", 7.9), alarm("b", 20.1),  # too early, too late
        alarm("c", 2, worse_ms=19 * HOUR_MS),  # called again when it became worse
        alarm("e", 15),  # nothing ever happened to e
    ]  # fmt: skip
    found = outcome(alarms, played(happened, days=10.0))
    assert (found.caught, found.events, found.missed) == (2, 4, ["b", "d"])
    assert found.lead_s == (2.25 * 3600, 3.5 * 3600, 4.75 * 3600)
    assert (found.alarms, found.notifications, found.alarms_per_patient_day) == (6, 7, 0.6)
    assert found.ppv == pytest.approx(2 / 6)
    assert found.chance == pytest.approx(1 - 2.718281828 ** (-0.7 / 2))  # 0.7 a patient-day, half a day of time


def test_two_sets_of_rules_differ_alarm_by_alarm() -> None:
    today = [alarm("a", 14), alarm("b", 15), alarm("c", 19)]
    new = [alarm("a", 14.05), alarm("a", 16), alarm("c", 15)]
    found = difference(new, today, (event("b", 20), event("c", 20), event("d", 20)))
    assert found.both == 1  # three minutes later is the same alarm
    assert [(a.patient, a.at_ms) for a in found.only_new] == [("c", 15 * HOUR_MS), ("a", 16 * HOUR_MS)]
    assert [a.patient for a in found.only_today] == ["b", "c"]
    assert (found.events_gained, found.events_lost) == ([], ["b"])
    assert found.by_condition() == {"spo2_low": (2, 2)}
