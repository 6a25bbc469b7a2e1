"""What of a record is stored, and why the rest is not."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from contracts.canary import CANARIES
from contracts.frames import constant, encode, labels
from contracts.partitioning import partition_of
from contracts.readings import Readings, encode_readings
from contracts.scores import STATUSES, Scores, Status, encode_scores
from contracts.ticks import Tick, encode_tick
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, JSON, PARTITIONS, READINGS, SCORES, TICK, WINDOWS
from contracts.vitals import INDEX
from contracts.windows import Windows, encode_windows
from infra.runtime.records import Record
from stream_processors.storable import Sieve, Storable

T0 = 1_772_359_200_000
HERE = next(p for p in (f"p-{i}" for i in range(100)) if partition_of(p, PARTITIONS) == 3)
ELSEWHERE = next(p for p in (f"p-{i}" for i in range(100)) if partition_of(p, PARTITIONS) != 3)


def record(value: bytes | None, topic: str = READINGS.name, kind: str | None = ARROW_FRAME) -> Record:
    headers = () if kind is None else ((CONTENT_TYPE, kind.encode()),)
    return Record(topic=topic, partition=3, offset=0, timestamp_ms=T0, key=None, value=value, headers=headers)


def taken(value: bytes | None, topic: str = READINGS.name, kind: str | None = ARROW_FRAME) -> Storable:
    return Sieve().take(record(value, topic, kind))


def frame(*patients: str, value: float = 72, time_ms: int = T0) -> bytes:
    n = len(patients)
    return encode_readings(
        Readings(
            patient=labels(patients),
            device=constant("d-1", n),
            metric=np.full(n, INDEX["heart_rate"], dtype=np.int16),
            value=np.full(n, value, dtype=np.float32),
            time_ms=np.full(n, time_ms, dtype=np.int64),
            received_ms=np.full(n, T0, dtype=np.int64),
            boot=np.ones(n, dtype=np.int32),
            seq=np.arange(n, dtype=np.int64),
            quality=np.zeros(n, dtype=np.uint8),
        )
    )


def windows_frame(*patients: str, end_ms: int = T0, span_ms: int = 60_000, late: int = 0) -> bytes:
    n = len(patients)
    return encode_windows(
        Windows(
            patient=labels(patients),
            window_end_ms=np.full(n, end_ms, dtype=np.int64),
            span_ms=np.full(n, span_ms, dtype=np.int32),
            late=np.full(n, late, dtype=np.int32),
            revised=np.zeros(n, dtype=np.uint8),
            features={"spo2.mean": np.arange(n, dtype=np.float32)},
        )
    )


def scores_frame(
    *patients: str, score: float = 1.0, status: Status = Status.OK, model: str = "m", end_ms: int = T0
) -> bytes:
    n = len(patients)
    return encode_scores(
        Scores(
            model=model,
            version="1",
            patient=labels(patients),
            window_end_ms=np.full(n, end_ms, dtype=np.int64),
            score=np.full(n, score, dtype=np.float32),
            status=np.full(n, STATUSES.index(status), dtype=np.uint8),
            contribution={"spo2": np.arange(n, dtype=np.float32)},
            deviation={"spo2": np.arange(n, dtype=np.float32)},
        )
    )


READING = {
    "patient": HERE, "device": "d-1", "metric": "heart_rate", "value": 72, "unit": "/min",
    "time": "2026-03-01T10:00:00.000Z", "boot": 1, "seq": 1,
}  # fmt: skip


def test_a_frame_is_stored_without_its_bad_rows() -> None:
    found = taken(frame(HERE, ELSEWHERE, HERE))
    assert found.readings is not None
    assert found.readings.patient.tolist() == [HERE, HERE]
    assert found.readings.seq.tolist() == [0, 2]
    assert found.skipped == {"patient": 1}


def test_a_good_frame_is_stored_whole() -> None:
    for kind in (ARROW_FRAME, None):
        found = taken(frame(HERE, HERE), kind=kind)
        assert found.readings is not None
        assert len(found.readings) == 2
        assert not found.skipped
        assert found.tick_ms is None


def test_rows_are_judged_again() -> None:
    assert taken(frame(HERE, value=math.inf)) == Storable(skipped={"value": 1})
    assert taken(frame(HERE, HERE, time_ms=T0 + 600_000)) == Storable(skipped={"time": 2})
    found = taken(frame(HERE, value=1000))
    assert found.readings is not None
    assert found.readings.quality.tolist() == [2], "kept, marked bad: it may be a sensor off, or worse"


def test_json_is_stored_too() -> None:
    payload = json.dumps([READING, {**READING, "unit": "Cel"}, {**READING, "patient": ELSEWHERE, "seq": 2}]).encode()
    for kind in (JSON, None):
        found = taken(payload, kind=kind)
        assert found.readings is not None
        assert found.readings.value.tolist() == [72]
        assert found.skipped == {"unit": 1, "patient": 1}


@pytest.mark.parametrize("kind", [TICK, JSON, None])
def test_a_tick_is_the_time(kind: str | None) -> None:
    assert taken(encode_tick(Tick(tick_ms=T0, config_version=1)), kind=kind) == Storable(tick_ms=T0)


UNREADABLE = [
    pytest.param(b"", READINGS.name, ARROW_FRAME, "payload", id="empty"),
    pytest.param(None, READINGS.name, None, "payload", id="no value"),
    pytest.param(b"rubbish", WINDOWS.name, ARROW_FRAME, "payload", id="rubbish"),
    pytest.param(b"{", READINGS.name, JSON, "payload", id="half a document"),
    pytest.param(b'{"tick_ms": "now"}', READINGS.name, TICK, "tick", id="a tick that is none"),
    pytest.param(encode("readings/2", {"a": np.zeros(1)}), READINGS.name, ARROW_FRAME, "schema", id="a newer version"),
    pytest.param(frame(HERE), SCORES.name, ARROW_FRAME, "schema", id="readings where scores belong"),
    pytest.param(frame(HERE), "vitals.latest", ARROW_FRAME, "topic", id="a topic we do not keep"),
]


@pytest.mark.parametrize(("value", "topic", "kind", "field"), UNREADABLE)
def test_a_record_that_cannot_be_read_is_counted_once(
    value: bytes | None, topic: str, kind: str | None, field: str
) -> None:
    assert taken(value, topic, kind) == Storable(skipped={field: 1})


def test_windows_are_checked_row_by_row() -> None:
    found = taken(windows_frame(ELSEWHERE, HERE), WINDOWS.name)
    assert found.windows is not None
    assert found.windows.patient.tolist() == [HERE]
    assert found.windows.features["spo2.mean"].tolist() == [1]
    assert found.skipped == {"patient": 1}
    assert taken(windows_frame(HERE, end_ms=5), WINDOWS.name) == Storable(skipped={"window_end_ms": 1})
    assert taken(windows_frame(HERE, span_ms=7), WINDOWS.name) == Storable(skipped={"span_ms": 1})
    assert taken(windows_frame(HERE, late=-1), WINDOWS.name) == Storable(skipped={"late": 1})
    whole = taken(windows_frame(HERE, HERE), WINDOWS.name)
    assert whole.windows is not None
    assert (len(whole.windows), whole.skipped) == (2, {})


def test_scores_are_checked_row_by_row() -> None:
    found = taken(scores_frame(HERE, ELSEWHERE), SCORES.name)
    assert found.scores is not None
    assert found.scores.patient.tolist() == [HERE]
    assert found.scores.contribution["spo2"].tolist() == [0]
    assert found.skipped == {"patient": 1}
    assert taken(scores_frame(HERE, score=math.nan), SCORES.name) == Storable(skipped={"score": 1})
    assert taken(scores_frame(HERE, end_ms=5), SCORES.name) == Storable(skipped={"window_end_ms": 1})
    assert taken(scores_frame(HERE, model=" \n"), SCORES.name) == Storable(skipped={"model": 1})
    unsure = taken(scores_frame(HERE, score=math.nan, status=Status.NOT_READY), SCORES.name)
    assert unsure.scores is not None
    assert not unsure.skipped


def test_the_canary_is_not_kept() -> None:
    canary = CANARIES[3]
    for value, topic in (
        (frame(HERE, canary), READINGS),
        (windows_frame(HERE, canary), WINDOWS),
        (scores_frame(HERE, canary), SCORES),
    ):
        found = taken(value, topic.name)
        kept = found.readings or found.windows or found.scores
        assert kept is not None
        assert kept.patient.tolist() == [HERE]
        assert found.skipped == {"canary": 1}


def test_strange_keys_belong_nowhere() -> None:
    assert taken(windows_frame(" p", "p\n"), WINDOWS.name) == Storable(skipped={"patient": 2})
