"""What a room takes in and what it puts aside: each bad record or row is named, its neighbours go on."""

from __future__ import annotations

import pytest

from contracts.errors import InvalidInput
from contracts.frames import Array, Labels, constant, encode
from contracts.partitioning import partition_of
from contracts.readings import decode_readings
from contracts.ticks import Tick, encode_tick
from contracts.topics import ARROW_FRAME, JSON, LATEST, PARTITIONS, REJECTED, TICK, WINDOWS
from contracts.windows import decode_windows
from stream_processors.policy import Policy
from stream_processors.room import ProcessorRoom
from tests.stream_processors.logs import (
    PARTITION,
    PATIENTS,
    T0,
    Log,
    Sample,
    dead_letters,
    feature,
    frame,
    room,
    run,
    short,
)

STRANGER = next(p for p in (f"q-{i}" for i in range(99)) if partition_of(p, PARTITIONS) != PARTITION)
TEXT = (
    '{"patient": "PATIENT", "device": "d", "metric": "spo2", "value": 0.97, "unit": "1", '
    '"time": "2026-03-01T10:00:05.000Z", "boot": 1, "seq": 1}'
)
OURS = TEXT.replace("PATIENT", PATIENTS[0])


@pytest.mark.parametrize(
    ("value", "content_type", "field"),
    [
        (b"", None, "payload"),
        (None, None, "payload"),
        (b"\x00garbage", ARROW_FRAME, "payload"),
        (frame([Sample(at=5, value=70)])[:-40], ARROW_FRAME, "payload"),
        (encode("windows/1", {}), ARROW_FRAME, "schema"),
        (b"{broken", JSON, "payload"),
        (b'{"readings": []}', JSON, "readings"),
        (b"{}", TICK, "tick"),
        (b'{"tick_ms": 5, "config_version": 0}', TICK, "tick_ms"),
        (b'{"tick_ms": "now", "config_version": 0}', None, "tick_ms"),
        (b"x" * 9_000_000, ARROW_FRAME, "payload"),
    ],
)
def test_what_cannot_be_read_is_put_aside_and_the_neighbours_go_on(
    value: bytes | None, content_type: str | None, field: str
) -> None:
    log = Log().tick(0).samples([Sample(at=4, value=70)]).raw(value, content_type).samples([Sample(at=5, value=70)]).tick(30)
    outputs = run(log)
    assert [found for found, _ in dead_letters(outputs)] == [field]
    assert feature(short(outputs)[0], "heart_rate.count") == 2


def test_a_frame_with_bad_rows_is_put_aside_once_and_its_good_rows_are_kept() -> None:
    good = Sample(at=5, value=70, seq=1)
    bad = [Sample(at=6, value=float("nan"), seq=2), Sample(at=7, value=70, seq=-1)]
    outputs = run(Log().tick(0).samples([good]).samples([good, *bad]).samples(bad[1:]).tick(30))
    assert dead_letters(outputs) == [
        ("value", "2 rows refused, the first: must be a finite number"),
        ("seq", "1 rows refused, the first: must be 0 to 68719476735"),
    ]
    assert feature(short(outputs)[0], "heart_rate.count") == 1


def test_a_dead_letter_is_the_record_as_it_came() -> None:
    log = Log().tick(0).raw(b"nonsense", None)
    (output,) = room().step(log.records)
    assert (output.topic, output.partition, output.value) == (REJECTED.name, PARTITION, b"nonsense")
    assert dict(output.headers)["origin-offset"] == b"1"


def test_a_reading_far_ahead_of_the_ticks_is_refused_and_its_neighbours_kept() -> None:
    samples = [Sample(at=5, value=70, seq=1), Sample(at=300.001, value=70, seq=2), Sample(at=300, value=70, seq=3)]
    outputs = run(Log().tick(0).samples(samples).tick(30).tick(330))
    assert [field for field, _ in dead_letters(outputs)] == ["time"]
    assert [(r["end"], feature(r, "heart_rate.count")) for r in short(outputs)][-1] == (310, 1)


def test_a_reading_far_ahead_of_the_first_tick_is_counted() -> None:
    processors = room()
    outputs = run(Log().samples([Sample(at=301, value=70)]).tick(0).tick(330), processors)
    assert list(outputs) == []
    assert processors.counts.ahead == 1


def test_a_patient_of_another_partition_is_put_aside() -> None:
    readings = TEXT.replace("PATIENT", STRANGER) + "," + OURS
    processors = room()
    outputs = run(Log().tick(0).raw(f"[{readings}]".encode(), None).tick(30), processors)
    assert [field for field, _ in dead_letters(outputs)] == ["patient"]
    assert processors.patients == 1
    assert [r["patient"] for r in short(outputs)] == [PATIENTS[0]]


@pytest.mark.parametrize("content_type", [None, JSON, "application/json; charset=utf-8"])
def test_json_readings_are_taken_beside_frames(content_type: str | None) -> None:
    (row,) = short(run(Log().tick(0).raw(OURS.encode(), content_type).tick(30)))
    assert feature(row, "spo2.mean") == pytest.approx(97, abs=1e-4)


def test_bad_json_readings_are_put_aside_and_their_neighbours_taken() -> None:
    text = f'{{"readings": [{OURS}, {OURS.replace("0.97", "true")}, {{}}]}}'
    outputs = run(Log().tick(0).raw(text.encode(), JSON).tick(30))
    assert dead_letters(outputs) == [("value", "2 rows refused, the first: must be a number, not a text, true or null")]
    assert len(short(outputs)) == 1


def test_a_tick_without_a_header_is_a_tick() -> None:
    log = Log().tick(0).samples([Sample(at=5, value=70)])
    tick = Log().tick(30).records[0]
    assert short(run(log.raw(tick.value, None))) != []


def test_a_frame_without_receive_times_takes_the_brokers() -> None:
    # The device's clock is 20 s fast by the broker's: clamped to the time it was received.
    whole = decode_readings(frame([Sample(at=20, value=70)]))
    columns: dict[str, Array | Labels] = {
        "patient": whole.patient, "device": whole.device, "metric": constant("heart_rate", 1),
        "value": whole.value, "time_ms": whole.time_ms, "boot": whole.boot, "seq": whole.seq, "quality": whole.quality,
    }  # fmt: skip
    processors = room()
    outputs = run(Log().tick(0).raw(encode("readings/1", columns), ARROW_FRAME).tick(30), processors)
    assert [(r["end"], feature(r, "heart_rate.good")) for r in short(outputs)] == [(10, 0)]
    assert processors.counts.clamped == 1


def test_outputs_go_to_the_partition_of_the_input() -> None:
    outputs = run(Log().tick(0).samples([Sample(at=5, value=70)]).tick(30))
    assert {(o.topic, o.partition) for o in outputs} == {(WINDOWS.name, PARTITION), (LATEST.name, PARTITION)}


def test_what_is_said_of_a_device_is_no_window_and_no_value_on_a_screen() -> None:
    """Nor does it move the watermark: what comes out is the same, byte for byte, with the batteries and without."""

    def out(*, batteries: bool) -> list[bytes]:
        log = Log().tick(0)
        for second in range(1, 130):
            samples = [Sample(at=second, value=60 + second % 7, seq=2 * second)] if second < 100 else []
            level = [Sample(at=second + 0.5, value=90, metric="battery", seq=2 * second + 1)] if batteries else []
            if samples or level:
                log.samples([*samples, *level])
            log.tick(second + 1)
        return [o.value for o in run(log) if o.topic in (WINDOWS.name, LATEST.name)]

    assert out(batteries=True) == out(batteries=False) != []
    assert not run(Log().tick(0).samples([Sample(at=1, value=90, metric="battery")]).tick(60))


def test_a_snapshot_of_another_policy_partition_or_schema_is_refused() -> None:
    log = Log().tick(0).samples([Sample(at=5, value=70)]).tick(6)
    processors = room()
    run(log, processors)
    snapshot = processors.snapshot()
    with pytest.raises(InvalidInput, match="policy"):
        room(Policy(revise_ms=60_000)).restore(snapshot)
    with pytest.raises(InvalidInput, match="another partition"):
        ProcessorRoom(PARTITION + 1).restore(snapshot)
    with pytest.raises(InvalidInput, match="schema"):
        room().restore(snapshot.replace(b"processors-state/1", b"processors-state/0"))
    with pytest.raises(InvalidInput):
        room().restore(snapshot[:-1])


def test_windows_say_which_version_was_in_force_when_they_closed() -> None:
    log = Log()
    for second in range(0, 130):
        log.samples([Sample(at=second, value=70, seq=second)])
        version = 3 if second == 60 else 2  # an older gateway's tick comes in between: numbers only rise
        log.raw(encode_tick(Tick(tick_ms=T0 + (second + 1) * 1000, config_version=version if second >= 60 else 0)), TICK)
    found = [(decode_windows(o.value), dict(o.headers)["config-version"]) for o in run(log) if o.topic == WINDOWS.name]
    ends = {int(end): version for windows, version in found for end in windows.window_end_ms}
    assert {version for end, version in ends.items() if end < T0 + 55_000} == {b"0"}
    assert {version for end, version in ends.items() if end > T0 + 61_000} == {b"3"}
    assert set(ends.values()) == {b"0", b"3"}


def test_a_restored_room_knows_the_version_before_its_first_tick() -> None:
    log = Log()
    for second in range(0, 130):
        log.samples([Sample(at=second, value=70, seq=second)])
        log.raw(encode_tick(Tick(tick_ms=T0 + (second + 1) * 1000, config_version=5 if second < 100 else 4)), TICK)
    first, again = room(), room()
    first.step(log.records[:230])
    again.restore(first.snapshot())
    found = [dict(o.headers)["config-version"] for o in again.step(log.records[230:]) if o.topic == WINDOWS.name]
    assert set(found) == {b"5"}
