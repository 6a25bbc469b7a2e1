"""A vital sign that a device no longer sends while it goes on with others: told, whose, once, over when it comes again."""

from __future__ import annotations

import random

import pytest

from alerting.rules.load import parse
from infra.runtime.records import Record
from tests.alerting.timeline import ADA, T0, Sample, brief, events, frame, new_room, tick

METRICS = ["spo2", "heart_rate", "respiratory_rate"]
RULES = parse({"version": 1, "missing": {"metrics": METRICS, "after_s": 20}, "silence": {"after_s": 30}}, version=1)
VALUES = {"spo2": 97.0, "heart_rate": 70.0, "glucose": 100.0, "respiratory_rate": 16.0}
Spans = dict[str, list[tuple[int, int]]]


def log(spans: Spans, until: int, *, split: int = -1) -> list[Record]:
    """A value a second of each metric in its spans, a tick after each second; in second `split` one between the metrics, too."""
    records = [tick(0, 1)]
    for second in range(until):
        now = [
            Sample(at=second + 0.25, value=VALUES[metric], metric=metric, seq=second * 10 + n)
            for n, (metric, whole) in enumerate(spans.items())
            if any(begin <= second < end for begin, end in whole)
        ]
        if second == split:
            records += [frame([sample]) for sample in now[:1]]
            records.append(tick(second + 0.5, 1))
            now = now[1:]
        records += [frame(now)] if now else []
        records.append(tick(second + 1, 1))
    return records


def told(spans: Spans, until: int, **more: int) -> list[tuple[float, str, str, str]]:
    return brief(events(new_room(RULES).step(log(spans, until, **more))))


def test_an_unplugged_probe_is_told_after_its_time_and_is_over_with_its_next_value() -> None:
    found = events(new_room(RULES).step(log({"heart_rate": [(0, 90)], "spo2": [(0, 30), (70, 90)]}, 90)))
    assert brief(found) == [(50, "spo2_missing:d-17", "raised", "low"), (71, "spo2_missing:d-17", "cleared", "low")]
    raised, cleared = found
    assert (raised.patient, raised.lane, raised.metric, raised.device) == (ADA, "technical", "spo2", "d-17")
    assert (raised.onset_ms, raised.condition_ms, raised.at_ms) == (T0 + 29_000, T0 + 49_000, T0 + 50_000)
    assert raised.text == "SpO2 missing: device d-17 has sent none for 20 s. Is it connected?"
    assert (cleared.text, cleared.alarm_id, cleared.alarm_version) == ("SpO2 comes again", raised.alarm_id, 2)


def test_the_limit_is_the_metrics_own_where_that_is_longer() -> None:
    """A breathing rate stands for half a minute."""
    spans = {"heart_rate": [(0, 60)], "respiratory_rate": [(0, 10)]}
    assert told(spans, 39) == []
    assert told(spans, 60) == [(40, "respiratory_rate_missing:d-17", "raised", "low")]


@pytest.mark.parametrize(
    ("what", "spans", "until"),
    [
        ("what never came is not missing", {"heart_rate": [(0, 90)]}, 90),
        ("what is measured now and then is not watched", {"heart_rate": [(0, 90)], "glucose": [(0, 1)]}, 90),
        ("a gap within the limit", {"heart_rate": [(0, 90)], "spo2": [(0, 30), (49, 90)]}, 90),
        ("nobody sends: time in which the device is silent does not count", {"heart_rate": [(0, 20)], "spo2": [(0, 20)]}, 45),
    ],
)
def test_no_alarm(what: str, spans: Spans, until: int) -> None:
    assert told(spans, until) == [], what


def test_a_link_that_comes_back_in_two_pieces_makes_nothing_missing() -> None:
    """Two minutes away; a tick lies between the first metric of the return and the second."""
    whole = [(0, 20), (140, 160)]
    assert told({"heart_rate": whole, "spo2": whole}, 160, split=140) == [
        (50, "device_silent:d-17", "raised", "medium"), (140.5, "device_silent:d-17", "cleared", "medium")
    ]  # fmt: skip


def test_a_rule_that_goes_ends_it_and_any_cut_and_snapshot_say_the_same() -> None:
    gone = parse({"version": 2}, version=2)
    records = [*log({"heart_rate": [(0, 90)], "spo2": [(0, 10), (40, 50)]}, 90), tick(91, 2)]
    whole = events(new_room(RULES, gone).step(records))
    assert [(e.condition, e.text) for e in whole][-1] == ("spo2_missing:d-17", "SpO2 missing: the rule was withdrawn")
    assert [e.change for e in whole] == ["raised", "cleared", "raised", "cleared"]
    rng, room, cut = random.Random(5), new_room(RULES, gone), []
    while records:
        count = rng.randint(1, 30)
        cut += events(room.step(records[:count]))
        records, saved, room = records[count:], room.snapshot(), new_room(RULES, gone)
        room.restore(saved)
    assert cut == whole
