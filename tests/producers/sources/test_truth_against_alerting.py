"""The truth of a simulated ward and the shipped alarm rules agree: each event brings its alarms, nothing else does."""

from __future__ import annotations

import json

import pytest

from alerting.room import AlertRoom
from alerting.rules.load import shipped
from contracts.readings import encode_readings
from contracts.ticks import Tick, encode_tick
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, PARTITIONS, READINGS, TICK
from infra.runtime.records import Record
from producers.sources.ward import TrueEvent, Ward
from producers.split import PartitionCache, split_by_partition

START_MS = 1_767_225_600_000


def alarms_of(ward: Ward, seconds: int) -> list[dict[str, object]]:
    """Every alarm event that the shipped rules raise on the ward's log."""
    rooms = [AlertRoom(p, {0: shipped()}) for p in range(PARTITIONS)]
    cache = PartitionCache(PARTITIONS)
    found: list[dict[str, object]] = []
    offset = 0
    for readings in ward.seconds(seconds):
        parts = split_by_partition(readings, PARTITIONS, cache)
        tick = encode_tick(Tick(tick_ms=ward.next_ms, config_version=0))
        for p, room in enumerate(rooms):
            messages = [(encode_readings(parts[p]), ARROW_FRAME)] if p in parts else []
            records = [
                Record(
                    topic=READINGS.name,
                    partition=p,
                    offset=offset + n,
                    timestamp_ms=ward.next_ms,
                    key=None,
                    value=value,
                    headers=((CONTENT_TYPE, kind.encode()),),
                )
                for n, (value, kind) in enumerate([*messages, (tick, TICK)])
            ]
            found += [json.loads(output.value) for output in room.step(records)]
        offset += 2
    return found


@pytest.mark.parametrize(
    ("scenario", "beds", "seconds", "seed"),
    [("demo", 24, 900, 5), ("storm", 48, 500, 6), ("load", 150, 700, 7), ("calm", 60, 400, 8)],
)
def test_alarms_are_those_that_the_truth_expects(scenario: str, beds: int, seconds: int, seed: int) -> None:
    ward = Ward(beds, seed, scenario, START_MS)
    events = alarms_of(ward, seconds)
    truth = ward.truth()
    assert bool(truth) == (scenario != "calm")
    raised = [e for e in events if e["change"] == "raised"]
    worsened = {e["alarm_id"]: e for e in events if e["change"] == "worsened"}
    for event in truth:
        for want in event.expected:
            mine = [e for e in raised if in_event(e, event) and e["condition"] == want.condition]
            raised = [e for e in raised if e not in mine]
            if want.priority_not_after_ms >= ward.next_ms:
                continue
            assert len(mine) == 1, f"{event.kind}: {len(mine)} alarms {want.condition}"
            assert want.not_before_ms <= whole(mine[0]["at_ms"]) <= want.not_after_ms
            last = worsened.get(mine[0]["alarm_id"], mine[0])
            assert last["priority"] == want.priority
            assert whole(last["at_ms"]) <= want.priority_not_after_ms
    assert [(e["condition"], e["patient"]) for e in raised] == []


def in_event(alarm: dict[str, object], event: TrueEvent) -> bool:
    return alarm["patient"] == event.patient and event.start_ms <= whole(alarm["at_ms"]) < event.end_ms


def whole(value: object) -> int:
    assert isinstance(value, int)
    return value
