"""Where the event time of a process stands: its slowest partition counts."""

from __future__ import annotations

from contracts.ticks import Tick, encode_tick
from contracts.topics import CONTENT_TYPE, READINGS, SCORES, TICK, WINDOWS, Topic
from infra.runtime.event_clocks import EventClocks
from infra.runtime.records import Record

T0 = 1_760_000_000_000


def written(topic: Topic, at_ms: int, value: bytes = b"frame") -> Record:
    return Record(topic=topic.name, partition=0, offset=0, timestamp_ms=at_ms, key=None, value=value, headers=())


def tick(tick_ms: int, *, value: bytes | None = None) -> Record:
    encoded = encode_tick(Tick(tick_ms=tick_ms, config_version=0)) if value is None else value
    return Record(
        topic=READINGS.name, partition=0, offset=0, timestamp_ms=T0 + 99_000, key=None, value=encoded,
        headers=((CONTENT_TYPE, TICK.encode()),),
    )  # fmt: skip


def test_the_newest_tick_of_the_slowest_partition_counts() -> None:
    clocks = EventClocks((READINGS, SCORES))
    assert clocks.slowest_ms() is None
    clocks.see(0, [tick(T0 + 1000), written(READINGS, T0 + 5000), tick(T0 + 3000), written(SCORES, T0 + 9000)])
    assert clocks.slowest_ms() == T0 + 3000, "when a message was written is no event time"
    clocks.see(1, [tick(T0 + 2000)])
    assert clocks.slowest_ms() == T0 + 2000
    clocks.see(1, [tick(T0 + 1000)])
    assert clocks.slowest_ms() == T0 + 2000, "several gateways write ticks; the highest counts"
    clocks.drop(1)
    assert clocks.slowest_ms() == T0 + 3000, "another process's partition does not hold us back"


def test_an_unreadable_tick_is_passed_over() -> None:
    clocks = EventClocks((READINGS,))
    clocks.see(0, [tick(T0), tick(0, value=b"nonsense")])
    assert clocks.slowest_ms() == T0


def test_a_room_without_ticks_goes_by_when_messages_were_written() -> None:
    clocks = EventClocks((WINDOWS,))
    clocks.see(0, [written(WINDOWS, T0), written(WINDOWS, T0 + 10_000)])
    assert clocks.slowest_ms() == T0 + 10_000
