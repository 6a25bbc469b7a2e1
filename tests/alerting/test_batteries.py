"""A battery that is low: told by device once it has been for a while, over when it is charged, however rows were grouped."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from alerting.rules.load import parse
from infra.runtime.records import Record
from tests.alerting.timeline import ADA, T0, Sample, brief, events, frame, new_room, patients, tick

RULES = parse({"version": 1, "battery": {}, "silence": {}}, version=1)
BOB = patients(2)[1]


def log(levels: Mapping[int, float], *, until: int, every: int = 5) -> list[Record]:
    """Device d-17 of Ada sends SpO2 every `every` seconds and these levels, by second; Bob's is full."""
    records = [tick(0, 1)]
    for second in range(until):
        found = [Sample(at=second + 0.4, value=97, patient=BOB, device="d-2")] if second % 10 == 0 else []
        if second % every == 0:
            found.append(Sample(at=second + 0.5, value=97))
        if second in levels:
            found.append(Sample(at=second + 0.5, value=levels[second], metric="battery"))
        if second % 60 == 30:
            found.append(Sample(at=second + 0.4, value=100, metric="battery", patient=BOB, device="d-2"))
        records += [frame(found), tick(second + 1, 1)] if found else [tick(second + 1, 1)]
    return records


def told(records: list[Record]) -> list[tuple[float, str, str, str]]:
    return brief(events(new_room(RULES).step(records)))


def test_it_is_told_when_it_stays_low_worsens_once_and_ends_on_the_charger() -> None:
    levels = {0: 30.0, 60: 20, 120: 19, 180: 5, 240: 4, 300: 24, 360: 25, 420: 26}
    found = events(new_room(RULES).step(log(levels, until=430)))
    assert brief(found) == [
        (120.5, "battery_low:d-17", "raised", "low"),
        (240.5, "battery_low:d-17", "worsened", "medium"),
        (420.5, "battery_low:d-17", "cleared", "medium"),
    ]
    first, worse, last = found
    assert (first.patient, first.device, first.lane, first.metric) == (ADA, "d-17", "technical", "battery")
    assert (first.onset_ms, first.condition_ms) == (T0 + 60_500, T0 + 120_500)
    assert first.text == "Battery 19 %: charge or change that of device d-17"
    assert (worse.reasons[0].value, worse.reasons[0].limit, worse.reasons[0].unit) == (4, 5, "%")
    assert last.text == "Battery 26 % again: device d-17"
    assert len({e.alarm_id for e in found}) == 1


@pytest.mark.parametrize(
    "levels",
    [{0: 21.0, 60: 21}, {0: 19.0, 30: 40}, {60: 20.0, 65: 21, 70: 20, 75: 21}],
    ids=["above the limit", "one stray level", "never for long"],
)
def test_what_does_not_stay_low_is_nothing(levels: Mapping[int, float]) -> None:
    assert told(log(levels, until=200)) == []


def test_a_level_stands_until_it_expires_and_the_clock_decides() -> None:
    assert told(log({10: 12.0}, until=90)) == [(71, "battery_low:d-17", "raised", "low")]
    assert told(log({10: 12.0, 400: 90}, until=470))[1:] == [(461, "battery_low:d-17", "cleared", "low")]


def test_a_bad_level_and_one_that_comes_late_say_nothing() -> None:
    late = frame([Sample(at=5, value=3, metric="battery")], received=120)
    stopped = frame([Sample(at=121, value=130, metric="battery")])  # no battery has so much: marked bad at the edge
    assert told([*log({}, until=120), late, stopped, tick(121, 1), *(tick(s, 1) for s in range(122, 140))]) == []


def test_a_device_that_sends_nothing_but_its_battery_is_silent_and_is_told_of_once() -> None:
    """It measures nothing: the battery must neither keep it from being called silent nor end that and begin it again."""
    records = log(dict.fromkeys(range(0, 200, 20), 50.0), until=200, every=1000)
    assert told(records) == [(31, "device_silent:d-17", "raised", "medium")]


def test_a_device_that_never_measured_is_not_silent_and_its_battery_counts() -> None:
    records = [tick(0, 1)]
    for second in range(0, 300, 10):
        records += [frame([Sample(at=second + 0.5, value=8, metric="battery")]), tick(second + 10, 1)]
    assert told([*records, *(tick(s, 1) for s in range(300, 800, 10))]) == [(60.5, "battery_low:d-17", "raised", "low")]


def test_two_devices_of_a_patient_are_two_batteries() -> None:
    records = [tick(0, 1)]
    for second in range(0, 300, 60):
        pair = [("d-17", 90.0), ("d-18", 10.0)]
        records += [
            frame([Sample(at=second + 0.5, value=v, metric="battery", device=d, seq=second) for d, v in pair]),
            *(tick(s, 1) for s in range(second + 1, second + 61)),
        ]
    assert told(records) == [(60.5, "battery_low:d-18", "raised", "low")]


def test_without_the_rule_it_ends_and_any_cut_says_the_same() -> None:
    gone = parse({"version": 2}, version=2)
    records = [*log({0: 30.0, 60: 18, 120: 17, 180: 4, 240: 3}, until=300), tick(301, 2)]
    whole = events(new_room(RULES, gone).step(records))
    assert [e.change for e in whole] == ["raised", "worsened", "cleared"]
    assert whole[-1].text == "Battery of device d-17: the rule was withdrawn"
    rng, room, cut = random.Random(3), new_room(RULES, gone), []
    while records:
        count = rng.randint(1, 40)
        cut += events(room.step(records[:count]))
        records, saved, room = records[count:], room.snapshot(), new_room(RULES, gone)
        room.restore(saved)
    assert cut == whole


def test_a_battery_changes_nothing_of_what_is_said_about_the_patient() -> None:
    samples = [Sample(at=s + 0.5, value=97 if s < 60 else 84, seq=2 * s) for s in range(120)]
    low = [Sample(at=s + 0.5, value=15, metric="battery", seq=2 * s + 1) for s in range(0, 120, 5)]

    def said(which: list[Sample]) -> list[tuple[float, str, str, str]]:
        records = [tick(0)]
        for second in range(120):
            some = [s for s in which if int(s.at) == second]
            records += [frame(some), tick(second + 1)]
        return [e for e in brief(events(new_room().step(records))) if not e[1].startswith("battery_low")]

    assert said(samples) == said([*samples, *low]) != []
