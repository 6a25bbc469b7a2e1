"""Whose data was in a record that our own code failed on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from contracts.faults import decode_fault
from contracts.frames import Labels
from contracts.topics import ARROW_FRAME, CONTENT_TYPE, FAULT, JSON, LATEST, READINGS, SCORES, TICK, WINDOWS
from contracts.windows import Windows, encode_windows
from infra.runtime.notices import fault_notice, patients_in
from infra.runtime.records import Record
from tests.alerting.timeline import Sample, frame, patients, scores, tick

ADA, BOB = patients(2)


def record(topic: str, value: bytes, content_type: str) -> Record:
    return Record(
        topic=topic, partition=3, offset=7, timestamp_ms=1, key=None, value=value,
        headers=((CONTENT_TYPE, content_type.encode()),),
    )  # fmt: skip


def json_of(patient: str) -> bytes:
    return json.dumps({"patient": patient, "device": "d", "metric": "spo2", "value": 97, "unit": "%",
                       "time": "2026-03-01T10:00:00.000Z", "boot": 1, "seq": 1}).encode()  # fmt: skip


WINDOW = Windows(
    patient=Labels(codes=np.array([1], dtype=np.int32), names=("not used", BOB)), window_end_ms=np.array([10_000]),
    span_ms=np.array([60_000], dtype=np.int32), late=np.zeros(1, dtype=np.int32), revised=np.zeros(1, dtype=np.uint8),
    features={},
)  # fmt: skip
RECORDS = [
    ("a frame of readings", frame([Sample(at=0, value=97, patient=p) for p in (BOB, ADA, BOB)]), (ADA, BOB)),
    ("a JSON reading", record(READINGS.name, json_of(ADA), JSON), (ADA,)),
    ("JSON with a charset", record(READINGS.name, json_of(ADA), "application/json; charset=utf-8"), (ADA,)),
    ("windows: only names that rows use", record(WINDOWS.name, encode_windows(WINDOW), ARROW_FRAME), (BOB,)),
    ("scores", scores(10, {ADA: 7.0}), (ADA,)),
    ("a tick is everybody's", tick(3), ()),
    ("bytes that nobody can read", record(SCORES.name, b"nonsense", ARROW_FRAME), ()),
    ("a topic that nobody reads", record(LATEST.name, b"", ARROW_FRAME), ()),
]


@pytest.mark.parametrize(("found", "whose"), [row[1:] for row in RECORDS], ids=[row[0] for row in RECORDS])
def test_whose_data_it_was(found: Record, whose: tuple[str, ...]) -> None:
    assert patients_in(found) == whose
    notice = fault_notice(replace(found, offset=7), "processors")
    assert notice is not None
    told = decode_fault(notice.value)
    assert (told.room, told.topic, told.offset, told.patients) == ("processors", found.topic, 7, whose)
    assert (notice.topic, notice.partition) == (READINGS.name, found.partition)


def test_a_fault_in_reading_notices_writes_no_more_of_them() -> None:
    assert fault_notice(record(READINGS.name, b"{}", FAULT), "alerting") is None


def test_a_notice_is_no_tick() -> None:
    notice = fault_notice(tick(3), "processors")
    assert notice is not None
    assert dict(notice.headers)[CONTENT_TYPE] != TICK.encode()
