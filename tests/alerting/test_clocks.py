"""A device whose clock runs ahead: told once it has for a while, over when its stamps are right, however rows were grouped."""

from __future__ import annotations

import random

from alerting.rules.load import parse
from infra.runtime.records import Record
from tests.alerting.timeline import ADA, T0, Sample, brief, events, frame, new_room, patients, tick

RULES = parse({"version": 1, "clock": {"onset_s": 20, "clear_after_s": 10}}, version=1)


def log(*spans: tuple[int, int, int], until: int = 120) -> list[Record]:
    """One value a second; in each span (from, to, by) stamped so many seconds after it was received."""
    records = [tick(0, 1)]
    for second in range(until):
        ahead = next((by for start, stop, by in spans if start <= second < stop), 0)
        person = [Sample(at=second + 0.5 + ahead, value=97, seq=second)]
        other = [Sample(at=second + 0.5, value=97, patient=patients(2)[1], device="d-2", seq=second)]
        records += [frame(person, received=second + 0.5), frame(other), tick(second + 1, 1)]
    return records


def told(records: list[Record]) -> list[tuple[float, str, str, str]]:
    return brief(events(new_room(RULES).step(records)))


def test_it_is_told_when_it_goes_on_and_ends_with_right_stamps() -> None:
    found = events(new_room(RULES).step(log((10, 50, 60))))
    assert brief(found) == [(30, "device_clock:d-17", "raised", "low"), (60, "device_clock:d-17", "cleared", "low")]
    assert (found[0].patient, found[0].onset_ms, found[0].condition_ms, found[0].lane) == (
        ADA, T0 + 10_000, T0 + 30_000, "technical"
    )  # fmt: skip
    assert found[0].text == "Clock of device d-17 runs ahead: its values are questionable. Set it"


def test_a_moment_is_nothing_and_a_right_stamp_begins_it_anew() -> None:
    assert told(log((10, 29, 60))) == []
    assert told(log((10, 29, 60), (30, 49, 60))) == []
    assert told(log((10, 29, 3))) == [], "some seconds ahead are no wrong clock"


def test_without_the_rule_it_ends_and_any_cut_says_the_same() -> None:
    gone = parse({"version": 2}, version=2)
    records = [*log((10, 110, 60), until=60), tick(61, 2)]
    whole = events(new_room(RULES, gone).step(records))
    assert [e.text for e in whole][1:] == ["Clock of device d-17: the rule was withdrawn"]
    rng, room, cut = random.Random(3), new_room(RULES, gone), []
    while records:
        count = rng.randint(1, 30)
        cut += events(room.step(records[:count]))
        records, saved, room = records[count:], room.snapshot(), new_room(RULES, gone)
        room.restore(saved)
    assert cut == whole
