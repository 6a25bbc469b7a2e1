"""From messages on `vitals.readings` to clean rows: decode, judge, find the patient's slot. Refused rows are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.reading_json import Rejection, parse_readings
from contracts.readings import (
    LATEST_MS,
    OF_DEVICE,
    REFUSALS,
    Quality,
    Readings,
    decode_readings,
    joined_to_judge,
    judge,
    rank,
)
from contracts.topics import CONTENT_TYPE, JSON, TICK
from infra.runtime.records import Record
from stream_processors.slots import ELSEWHERE, Index, Slots

Number = TypeVar("Number", bound=np.generic)

# Refusals of this room, numbered after those of `judge`.
_ELSEWHERE: Final = len(REFUSALS)
_AHEAD: Final = _ELSEWHERE + 1
_REFUSALS: Final = (
    *REFUSALS,
    ("patient", "belongs to another partition; choose it by murmur2 of the patient key, as Kafka's Java client does"),
    ("time", "is more than 5 minutes ahead of this partition's ticks"),
)

# A cell's key: `rank` + 1 above two bits of quality. 0 is "no reading yet", and keys compare as ranks do.
QUALITY_BITS: Final = np.uint64(2)
QUALITY_MASK: Final = np.uint64(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Clean rows, columns of equal length. `key` orders readings of one second and holds their quality. A reading that
    must not be used as a value (BAD, NOT_WORN) has NaN for `value`."""

    slot: Index
    metric: npt.NDArray[np.int16]
    value: npt.NDArray[np.float32]
    time_ms: npt.NDArray[np.int64]
    key: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.value)

    def take(self, rows: npt.NDArray[np.bool_] | Index | slice) -> Rows:
        """The chosen rows, by index, mask or slice."""
        return Rows(
            slot=self.slot[rows],
            metric=self.metric[rows],
            value=self.value[rows],
            time_ms=self.time_ms[rows],
            key=self.key[rows],
        )


def join(parts: Sequence[Rows]) -> Rows:
    """All rows of `parts`, in order. `parts` must not be empty."""
    return Rows(
        slot=_join([p.slot for p in parts]),
        metric=_join([p.metric for p in parts]),
        value=_join([p.value for p in parts]),
        time_ms=_join([p.time_ms for p in parts]),
        key=_join([p.key for p in parts]),
    )


def is_tick(record: Record) -> bool:
    """Whether `record` is a tick, by its header; without a header by its first bytes."""
    content_type = record.content_type()
    if content_type == TICK:
        return True
    named = any(name == CONTENT_TYPE for name, _ in record.headers)
    return content_type == JSON and not named and (record.value or b"").lstrip().startswith(b'{"tick_ms"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One decoded message: its readings, not judged yet, and what the JSON reader refused of it."""

    record: Record
    readings: Readings
    rejected: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Part or all of `record` was refused: `field` and `reason` of the first row, and how many rows."""

    record: Record
    field: str
    reason: str
    rows: int


def read(record: Record) -> Message | Refusal:
    """Decode one message that is not a tick. The broker's time stands in for a missing receive time."""
    try:
        if record.content_type().partition(";")[0] == JSON:
            parsed = parse_readings(record.value or b"", received_ms=record.timestamp_ms)
            return Message(record=record, readings=parsed.readings, rejected=parsed.rejected)
        return Message(record=record, readings=decode_readings(record.value or b"", received_ms=record.timestamp_ms))
    except InvalidInput as error:
        return Refusal(record=record, field=error.field, reason=error.reason, rows=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """The clean rows of some messages, in order, and what was refused, in the order of the messages."""

    rows: Rows
    refusals: tuple[Refusal, ...]
    implausible: int
    clamped: int


def clean(messages: Sequence[Message], slots: Slots, latest_allowed_ms: int | None) -> Cleaned:
    """Judge the rows of `messages` together; a reading after `latest_allowed_ms` (None: no tick yet) is refused. What is said of
    a device is left out: a window and a screen are about the patient.

    `messages` must not be empty. The outcome is that of judging them one by one.
    """
    readings = joined_to_judge([m.readings for m in messages])
    slot = _join([slots.place(m.readings.patient) for m in messages])
    judged = judge(readings)
    good, refused = judged.accepted, judged.refused
    if len(good) < len(readings):
        slot = slot[judged.rows]
    elsewhere = slot == ELSEWHERE
    ahead = good.time_ms > (LATEST_MS if latest_allowed_ms is None else latest_allowed_ms)
    if elsewhere.any() or ahead.any():
        refused[judged.rows[ahead]] = _AHEAD
        refused[judged.rows[elsewhere]] = _ELSEWHERE
        keep = ~(elsewhere | ahead)
        good, slot = good.take(keep), slot[keep]
    of_device = OF_DEVICE[good.metric]
    if of_device.any():
        good, slot = good.take(~of_device), slot[~of_device]
    # Adding 0 turns -0.0 into 0.0: which of the two is the smallest of a window would depend on the order of comparing.
    value = good.value + np.float32(0)
    unusable = good.quality >= Quality.BAD
    if unusable.any():
        value[unusable] = np.nan
    key = ((rank(good) + np.uint64(1)) << QUALITY_BITS) | good.quality
    return Cleaned(
        rows=Rows(slot=slot, metric=good.metric, value=value, time_ms=good.time_ms, key=key),
        refusals=_refusals(messages, refused) if refused.any() or any(m.rejected for m in messages) else (),
        implausible=int(np.count_nonzero(judged.implausible)),
        clamped=int(np.count_nonzero(judged.clamped)),
    )


def _join(columns: Sequence[npt.NDArray[Number]]) -> npt.NDArray[Number]:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def _refusals(messages: Sequence[Message], refused: npt.NDArray[np.uint8]) -> tuple[Refusal, ...]:
    found: list[Refusal] = []
    start = 0
    for message in messages:
        end = start + len(message.readings)
        bad = refused[start:end]
        bad = bad[bad > 0]
        start = end
        rows = len(bad) + len(message.rejected)
        if not rows:
            continue
        if message.rejected:
            field, reason = message.rejected[0].field, message.rejected[0].reason
        else:
            field, reason = _REFUSALS[int(bad[0])]
        found.append(Refusal(record=message.record, field=field, reason=reason, rows=rows))
    return tuple(found)
