"""Fault notices: whose data was in a record that our own code failed on, said where it has a place in the log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from contracts.faults import Fault, encode_fault
from contracts.frames import Labels
from contracts.reading_json import parse_readings
from contracts.readings import decode_readings
from contracts.scores import decode_scores
from contracts.topics import CONTENT_TYPE, FAULT, JSON, READINGS, SCORES, TICK, WINDOWS
from contracts.windows import decode_windows
from infra.runtime.records import Output, Record

_HEADERS: Final = ((CONTENT_TYPE, FAULT.encode()),)


def fault_notice(record: Record, room: str) -> Output | None:
    """The notice that `room` failed on `record`, for the same partition of `vitals.readings`. None for a notice itself: a fault
    in reading notices must not write more of them."""
    if record.content_type() == FAULT:
        return None
    fault = Fault(room=room, topic=record.topic, offset=record.offset, patients=patients_in(record))
    return Output(topic=READINGS.name, partition=record.partition, value=encode_fault(fault), headers=_HEADERS)


def patients_in(record: Record) -> tuple[str, ...]:
    """Whose rows `record` holds. Empty where nobody can tell: a tick, or bytes that cannot be read."""
    try:
        return tuple(sorted(set(_names(record))))
    except Exception:  # a record that breaks our code may break this too; then all of the group are told of it
        return ()


def _names(record: Record) -> Iterable[str]:
    payload, kind = record.value or b"", record.content_type()
    if kind == TICK:
        return ()
    if record.topic == WINDOWS.name:
        return _used(decode_windows(payload).patient)
    if record.topic == SCORES.name:
        return _used(decode_scores(payload).patient)
    if record.topic != READINGS.name:
        return ()
    if kind.partition(";")[0] == JSON:
        return _used(parse_readings(payload, received_ms=record.timestamp_ms).readings.patient)
    return _used(decode_readings(payload, received_ms=record.timestamp_ms).patient)


def _used(column: Labels) -> Iterable[str]:
    return (column.names[code] for code in np.unique(column.codes).tolist())
