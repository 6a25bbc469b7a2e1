"""Values that stand still: a device that repeats itself is not measuring, and nobody may believe its number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.rules.equipment import UnchangingRule
from alerting.rules.load import parse
from alerting.unchanging import LONGEST_PAUSE_MS, WATCHED, UnchangingWatch
from contracts.alarms import Lane, State
from contracts.vitals import BY_NAME, CATALOGUE, INDEX
from tests.alerting.timeline import ADA, T0, Sample, brief, drawn, events, live, new_room, of_limits

STUCK_S = BY_NAME["heart_rate"].stuck_s
assert STUCK_S is not None
LIMIT = int(STUCK_S)


def still(samples: list[Sample], until: float | None = None) -> list[tuple[float, str, str, str]]:
    found = events(new_room().step(live(samples, until=until)))
    return brief(e for e in found if "_unchanging:" in e.condition)


def test_a_heart_rate_that_stands_still_is_told_after_its_limit() -> None:
    found = [e for e in events(new_room().step(live(drawn(f"71 72*{LIMIT + 60}", "heart_rate")))) if "unch" in e.condition]
    (event,) = found
    # 71 at 0 is the last other value; the sample of LIMIT is judged at the tick after it.
    assert brief([event]) == [(LIMIT + 1, "heart_rate_unchanging:d-17", "raised", "low")]
    assert event.text == "HR does not change: 72 for 10 min. Is it measured?"
    assert (event.lane, event.metric, event.device, event.patient) == (Lane.TECHNICAL, "heart_rate", "d-17", ADA)
    assert (event.onset_ms, event.state) == (T0, State.ACTIVE)
    assert (event.reasons[0].kind, event.reasons[0].value, event.reasons[0].limit) == ("unchanging", 72.0, STUCK_S)


def test_another_value_ends_it() -> None:
    found = still(drawn(f"72*{LIMIT + 30} 73*5", "heart_rate"))
    assert [(at, change) for at, _, change, _ in found] == [(LIMIT + 1, "raised"), (LIMIT + 31, "cleared")]


FINE = [
    ("one other second in ten minutes is enough", "heart_rate", f"72*{LIMIT - 5} 73 72*{LIMIT - 5}"),
    ("the longest run of a real monitor", "heart_rate", "77*125 78 77*125"),
    ("SpO2 stands at its ceiling", "spo2", "100*2000"),
    ("temperature may", "temperature", "36.8*2000"),
    ("a sensor that is off has no value", "heart_rate", f"off*{LIMIT + 60}"),
    ("implausible is told as that", "heart_rate", f"0*{LIMIT + 60}"),
]


@pytest.mark.parametrize(("metric", "line"), [row[1:] for row in FINE], ids=[row[0] for row in FINE])
def test_what_may_stand_still(metric: str, line: str) -> None:
    assert still(drawn(line, metric)) == []


def test_a_cuff_that_reads_the_same_now_and_then_is_not_stuck() -> None:
    samples = [Sample(at=900 * i, value=120, metric="systolic_bp") for i in range(8)]
    assert still(samples, until=7300) == []


def test_after_a_pause_the_same_value_begins_anew() -> None:
    assert still([*drawn("72*100", "heart_rate"), *drawn(f"72*{LIMIT - 10}", "heart_rate", start=400)]) == []


def test_a_stuck_device_beside_one_that_measures_is_told() -> None:
    samples = [s for at in range(LIMIT + 30) for s in (
        Sample(at=at, value=72, metric="heart_rate", device="stuck"),
        Sample(at=at + 0.5, value=70 + at % 5, metric="heart_rate", device="good"),
    )]  # fmt: skip
    assert [condition for _, condition, _, _ in still(samples)] == ["heart_rate_unchanging:stuck"]


def rules_of(quality: str) -> dict[str, object]:
    limit = {"metric": "heart_rate", "direction": "high", "limit": 120, "critical": 150, "quality": quality, "onset_s": 90}
    return {"limits": [limit], "unchanging": {"after_s": {"heart_rate": 60}}}


def test_its_value_is_questionable_for_the_rules_too() -> None:
    """A rule that asks for good values hears no more of a device that repeats itself; others still do."""
    good, lenient = parse(rules_of("good"), version=1), parse(rules_of("questionable"), version=2)
    samples = drawn("100 130*200", "heart_rate")  # stuck after 60 s, an alarm after 90 s
    assert of_limits(events(new_room(good).step(live(samples, version=1)))) == []
    told = of_limits(events(new_room(lenient).step(live(samples, version=2))))
    assert [e.condition for e in told] == ["heart_rate_high"]


def test_without_a_rule_it_ends() -> None:
    room = new_room(parse({}, version=1))
    log = live(drawn(f"72*{LIMIT + 10}", "heart_rate"))
    room.step(log)
    found = events(room.step(live(drawn("72*3", "heart_rate", start=LIMIT + 10), version=1)))
    assert [e.text for e in found if "unchanging" in e.condition] == ["HR does not change: the rule was withdrawn"]


def test_every_watched_metric_has_an_alarm_limit_and_the_rest_has_its_reason() -> None:
    watched = {CATALOGUE[m].name for m in WATCHED}
    assert watched == {"heart_rate", "pulse_rate", "respiratory_rate", "systolic_bp", "diastolic_bp", "mean_bp", "etco2"}
    assert UnchangingRule().after_s == {name: BY_NAME[name].stuck_s for name in watched}


# The watch against plain Python, in any grouping.


@st.composite
def logs(draw: st.DrawFn) -> list[list[tuple[int, float, float]]]:
    """Between ticks of one second: (pair, time in s, value), a little out of order."""
    seconds = draw(st.integers(5, 40))
    gap = draw(st.sampled_from([0, 0, 0, 120]))
    found = []
    for second in range(seconds):
        now = second + (gap if second > seconds // 2 else 0)
        rows = draw(st.lists(st.tuples(
            st.integers(0, 2), st.sampled_from([0.0, 0.0, 0.0, -1.0, -2.0, 0.5]), st.sampled_from([72.0, 72.0, 72.0, 73.0])
        ), max_size=4))  # fmt: skip
        found.append([(pair, now + off, value) for pair, off, value in rows])
    return found


def plain(log: list[list[tuple[int, float, float]]], limit_s: float) -> list[list[int]]:
    """Which pairs are stuck after each second, from all that was ever heard of them."""
    heard: dict[int, list[tuple[float, float]]] = {}
    last: dict[int, int] = {}
    told = []
    clock = 0
    for rows in log:
        now = int(max((at for _, at, _ in rows), default=clock))
        for pair, at, value in rows:
            if pair in last and clock - last[pair] > LONGEST_PAUSE_MS // 1000:
                heard[pair] = []
            last[pair] = clock
            heard.setdefault(pair, []).append((at, value))
        clock = max(clock, now)
        stuck = []
        for pair, samples in heard.items():
            newest = max(at for at, _ in samples)
            value = max(v for at, v in samples if at == newest)
            others = [at for at, v in samples if v != value]
            if newest - max(others, default=samples[0][0]) >= limit_s and newest - max([*others, samples[0][0]]) >= limit_s:
                stuck.append(pair)
        told.append(sorted(stuck))
    return told


@settings(max_examples=60, deadline=None)
@given(log=logs(), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_the_watch_says_what_plain_python_says_however_rows_are_grouped(
    log: list[list[tuple[int, float, float]]], sizes: list[int]
) -> None:
    watch, turns = UnchangingWatch(), itertools.cycle(sizes)
    watch.use(UnchangingRule(after_s={"heart_rate": 30}))
    limit_ms = 8_000
    watch._limit_ms[:] = limit_ms
    told, active, clock = [], set[int](), 0
    for rows in log:
        start = 0
        while start < len(rows):
            part = rows[start : start + next(turns)]
            start += len(part)
            watch.hear(
                np.array([pair for pair, _, _ in part], dtype=np.int32),
                np.full(len(part), INDEX["heart_rate"], dtype=np.int16),
                np.array([value for _, _, value in part], dtype=np.float32),
                np.array([T0 + round(at * 1000) for _, at, _ in part], dtype=np.int64),
                np.full(len(part), True),
                clock * 1000,
                distinct=len({pair for pair, _, _ in part}) == len(part),
            )  # fmt: skip
        clock = max(clock, int(max((at for _, at, _ in rows), default=clock)))
        for decision in watch.tick(T0 + clock * 1000):
            (active.add if decision.kind.name == "RAISED" else active.discard)(decision.pair)
        told.append(sorted(active))
    assert told == plain(log, limit_ms / 1000)
