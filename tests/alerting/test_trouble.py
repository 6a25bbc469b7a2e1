"""All kinds of trouble in one log: the room says the same of it however it is grouped, cut or repeated."""

from __future__ import annotations

import random
import zlib
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import recfunctions

from alerting import snapshot as saved
from alerting.cells import OPEN
from alerting.room import AlertRoom
from alerting.rules.load import parse
from alerting.silence import PAIR
from contracts.errors import InvalidInput
from contracts.faults import Fault, encode_fault
from contracts.groups import GROUPS
from contracts.topics import FAULT, READINGS
from infra.runtime.records import Output, Record
from tests.alerting.timeline import PARTITION, Sample, events, frame, patients, record, tick

RULES = parse(
    {
        "limits": [
            {"metric": "spo2", "direction": "low", "onset_s": 4, "critical_onset_s": 2, "clear_after_s": 5, "max_gap_s": 30},
            {"metric": "systolic_bp", "direction": "low", "onset_s": 5, "clear_after_s": 6},
        ],
        "implausible": {"metrics": ["spo2"], "priority": "medium", "onset_s": 2, "clear_after_s": 2},
        "silence": {"after_s": 8, "together": {"fewest": 2, "together_s": 3, "end_after_s": 3}},
        "unchanging": {"after_s": {"heart_rate": 30}},
        "missing": {"metrics": ["heart_rate", "spo2"], "after_s": 5},
        "fault": {"clear_after_s": 5},
    },
    version=0,
)  # fmt: skip


@cache
def trouble(seed: int, seconds: int = 150) -> list[Record]:
    """Four patients: networks that fail for some or all, backlogs sent afterwards and sometimes twice, devices that stand still,
    probes that are unplugged, faults of our own, some told twice."""
    chance, probes = random.Random(seed), random.Random(seed + 1000)
    unplugged: dict[str, int] = {}
    people, log = patients(4), list[Record]()
    away, kept, stuck = dict.fromkeys(people, 0), {p: list[Sample]() for p in people}, dict.fromkeys(people, 0)
    level, offset = dict.fromkeys(people, 92.0), 0
    for second in range(seconds):
        log.append(tick(second))
        if chance.random() < 0.03:
            away = dict.fromkeys(people, second + chance.randrange(10, 40))
        for person in people:
            if chance.random() < 0.01:
                away[person] = second + chance.randrange(10, 60)
            if chance.random() < 0.01:
                stuck[person] = second + chance.randrange(30, 60)
            level[person] += chance.uniform(-3, 3) + 0.1 * (91 - level[person])
            rate = 72 if second < stuck[person] else chance.choice((70, 71, 73))
            rows = [Sample(at=second, value=rate, metric="heart_rate", patient=person, device=f"d-{person}"),
                    Sample(at=second, value=round(level[person]), patient=person, device=f"d-{person}")]  # fmt: skip
            if probes.random() < 0.01:
                unplugged[person] = second + probes.randrange(10, 40)
            rows = rows[second < unplugged.get(person, 0) :]
            if chance.random() < 0.05:
                rows.append(Sample(at=second, value=chance.choice((70, 120)), metric="systolic_bp", patient=person))
            if second < away[person]:
                kept[person] += rows
                continue
            log.append(frame(rows))
            if kept[person] and chance.random() < 0.5:
                part, kept[person] = kept[person][:40], kept[person][40:]
                log.extend([frame(part, received=second)] * chance.choice((1, 1, 2)))
        if chance.random() < 0.06:
            offset += 1
            names = chance.sample(people, chance.randrange(3))
            notice = record(READINGS.name, encode_fault(
                Fault(room="processors", topic=READINGS.name, offset=offset, patients=tuple(sorted(names)))), FAULT)  # fmt: skip
            log.extend([notice] * chance.choice((1, 1, 2)))
    return log


@cache
def one_by_one(seed: int) -> tuple[list[Output], bytes]:
    room = AlertRoom(PARTITION, {0: RULES})
    outputs = [output for item in trouble(seed) for output in room.step([item])]
    return outputs, room.snapshot()


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 12), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=20), cut=st.booleans())
def test_grouping_and_cuts_change_nothing(seed: int, sizes: list[int], cut: bool) -> None:
    expected, state = one_by_one(seed)
    log, at, found = trouble(seed), 0, list[Output]()
    room = AlertRoom(PARTITION, {0: RULES})
    while at < len(log):
        size = sizes[at % len(sizes)]
        found += room.step(log[at : at + size])
        at += size
        if cut:
            kept = room.snapshot()
            room = AlertRoom(PARTITION, {0: RULES})
            room.restore(kept)
            assert room.snapshot() == kept
    assert found == expected
    assert room.snapshot() == state


def test_the_logs_hold_what_they_promise() -> None:
    """And each alarm's story is one that the life cycle allows, under ids of its own."""
    told = [e for seed in range(12) for e in events(one_by_one(seed)[0])]
    kinds = {(e.condition.split(":")[0], e.condition.endswith(":late"), e.change.value) for e in told}
    for condition, late, changes in (
        ("devices_silent", False, {"raised", "cleared"}),
        ("device_silent", False, {"raised", "inhibited", "released", "cleared"}),
        ("heart_rate_unchanging", False, {"raised", "cleared"}),
        ("processing_fault", False, {"raised", "cleared"}),
        ("heart_rate_missing", False, {"raised", "cleared"}),
        ("spo2_low", True, {"found", "cleared"}),
        ("systolic_bp_low", True, {"found"}),
        ("spo2_low", False, {"raised", "cleared"}),
    ):
        assert {(condition, late, change) for change in changes} <= kinds
    for seed in range(12):
        found = events(one_by_one(seed)[0])
        assert len({e.event_id for e in found}) == len(found)
        stories: dict[str, list[str]] = {}
        for event in found:
            stories.setdefault(event.alarm_id, []).append(event.change.value)
            assert event.alarm_version == len(stories[event.alarm_id])
        assert {story[0] for story in stories.values()} <= {"raised", "inhibited", "found"}
        assert not any(change in ("raised", "inhibited", "found") for story in stories.values() for change in story[1:])
    assert {e.patient for e in told if e.condition == "processing_fault"} >= {GROUPS[PARTITION], *patients(4)}


@pytest.mark.parametrize("number", [1, 2])
def test_a_snapshot_of_a_format_before_is_taken_over(number: int) -> None:
    """Alarms that are open, and what was heard of whom, survive the release that adds to the state."""
    room = AlertRoom(PARTITION, {0: RULES})
    people = patients(2)
    everyone = [Sample(at=0, value=85, patient=p, device=f"d-{p}") for p in people]
    beside = [[tick(s), frame([Sample(at=s, value=85, patient=people[0], device="d-x")])] for s in range(1, 18)]
    room.step([tick(0), frame(everyone), *(item for second in beside for item in second)])
    assert room.active == 3, "a limit, and two devices that fell silent alone"
    other = AlertRoom(PARTITION, {0: RULES})
    other.restore(as_before(saved.unpack(room.snapshot()), number))
    assert other.active == room.active
    back = [frame([replace(sample, at=18) for sample in everyone]), tick(19)]
    assert events(other.step(back)) == events(room.step(back))


def as_before(state: saved.State, number: int) -> bytes:
    """The bytes that an older release would have written."""
    names = saved.State.__struct_fields__
    columns = {name: getattr(state, name) for name in (names[: names.index("together")] if number == 1 else names)}
    if number == 1:
        columns["pairs"] = without(state.pairs, PAIR, "held", "changes")
    for name in ("limit_cells", "score_cells", "late_cells"):
        if name in columns:
            columns[name] = without(columns[name], OPEN, "quiet_until")
    if "patterns" in columns:
        cells = without(state.patterns.cells, OPEN, "quiet_until")
        columns["patterns"] = msgspec.structs.replace(state.patterns, cells=cells)
    return b"VGAR%c" % number + zlib.compress(msgspec.msgpack.encode(columns), 1)


def without(payload: bytes, dtype: np.dtype[np.void], *added: str) -> bytes:
    rows = saved.column(payload, dtype, "rows")
    return recfunctions.repack_fields(rows[[n for n in dtype.names or () if n not in added]]).tobytes()


FIELDS = [
    "unchanging", "missing", "missing_seen", "missing_present", "hole_keys", "hole_start", "hole_stop", "hole_tail", "late_cells"
]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_columns_that_do_not_fit_are_refused(field: str) -> None:
    seed = next(s for s in range(30) if getattr(saved.unpack(one_by_one(s)[1]), field))
    state = saved.unpack(one_by_one(seed)[1])
    for column in (getattr(state, field)[:-1], b"\xff" * len(getattr(state, field))):
        broken = msgspec.structs.replace(state, **{field: column})
        with pytest.raises(InvalidInput):
            AlertRoom(PARTITION, {0: RULES}).restore(saved.pack(broken))


def test_what_cannot_be_is_refused() -> None:
    state = saved.unpack(one_by_one(1)[1])
    for change in (
        {"together": (-1, 0, 0, 0, 0)},
        {"unchanging_metrics": [*state.unchanging_metrics, "spo2"]},
        {"faults": [{"slot": 99, "room": "r"}]},
    ):
        payload = msgspec.msgpack.encode({**msgspec.to_builtins(state, builtin_types=(bytes,)), **change})
        with pytest.raises(InvalidInput):
            AlertRoom(PARTITION, {0: RULES}).restore(saved.pack(msgspec.msgpack.decode(payload, type=saved.State)))
