"""Readings: one row per measured value, the content of `vitals.readings`.

A reading's identity is (device, boot, seq). Order within a second: newest event time wins, then higher boot, then
higher seq, so the outcome never depends on the order of arrival. `boot` and `seq` are bounded so that this order fits
one 64-bit number (`rank`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import Array, Labels, constant, decode, encode
from contracts.names import MAX_NAME as MAX_NAME
from contracts.names import all_good as all_good
from contracts.names import good_name as good_name
from contracts.vitals import CATALOGUE, INDEX

Number = TypeVar("Number", bound=np.generic)

SCHEMA: Final = "readings/1"
MAX_BOOT: Final = 0xFFFF
MAX_SEQ: Final = (1 << 36) - 1
# 2000-01-01 and 2100-01-01: stamps outside are clocks that were never set, or milliseconds mixed with microseconds.
EARLIEST_MS: Final = 946_684_800_000
LATEST_MS: Final = 4_102_444_800_000
# DESIGN: a stamp this far after its own receive time is clamped (a fast clock) or refused (a wrong one).
CLAMP_AFTER_MS: Final = 5_000
REFUSE_AFTER_MS: Final = 300_000


class Quality(IntEnum):
    """What the sender knows about a value. BAD and NOT_WORN never feed a window, a limit or a screen as a value."""

    GOOD = 0
    QUESTIONABLE = 1
    BAD = 2
    NOT_WORN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Columns of equal length. `metric` is the catalogue index, -1 for a name the catalogue does not know."""

    patient: Labels
    device: Labels
    metric: npt.NDArray[np.int16]
    value: npt.NDArray[np.float32]  # in the catalogue's unit
    time_ms: npt.NDArray[np.int64]  # event time, device clock, UTC
    received_ms: npt.NDArray[np.int64]
    boot: npt.NDArray[np.int32]
    seq: npt.NDArray[np.int64]
    quality: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.value)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Readings:
        """The chosen rows, by index or mask."""
        return Readings(
            patient=self.patient.take(rows),
            device=self.device.take(rows),
            metric=self.metric[rows],
            value=self.value[rows],
            time_ms=self.time_ms[rows],
            received_ms=self.received_ms[rows],
            boot=self.boot[rows],
            seq=self.seq[rows],
            quality=self.quality[rows],
        )


def encode_readings(readings: Readings) -> bytes:
    """Encode as a `readings/1` frame. Every metric index must be in the catalogue."""
    names = tuple(v.name for v in CATALOGUE)
    columns: dict[str, Array | Labels] = {
        "patient": _trim(readings.patient),
        "device": _trim(readings.device),
        "metric": _trim(Labels(codes=readings.metric.astype(np.int32), names=names)),
        "value": readings.value,
        "time_ms": readings.time_ms,
        "received_ms": readings.received_ms,
        "boot": readings.boot,
        "seq": readings.seq,
        "quality": readings.quality,
    }
    return encode(SCHEMA, columns)


def decode_readings(payload: bytes, *, received_ms: int | None = None) -> Readings:
    """Decode a `readings/1` frame. Rows are not judged here: see `judge`.

    `received_ms` fills a missing receive time (a device's own frame at the gateway, or a frame straight on the topic).
    """
    frame = decode(payload, SCHEMA)
    metric = frame.text("metric")
    known = np.array([INDEX.get(name, -1) for name in metric.names] or [-1], dtype=np.int16)
    return Readings(
        patient=frame.text("patient"),
        device=frame.text("device"),
        metric=known[metric.codes],
        value=frame.numbers("value", np.float32),  # type: ignore[arg-type]
        time_ms=frame.numbers("time_ms", np.int64),  # type: ignore[arg-type]
        received_ms=frame.numbers("received_ms", np.int64, default=received_ms),  # type: ignore[arg-type]
        boot=frame.numbers("boot", np.int32),  # type: ignore[arg-type]
        seq=frame.numbers("seq", np.int64),  # type: ignore[arg-type]
        quality=frame.numbers("quality", np.uint8, default=int(Quality.GOOD)),  # type: ignore[arg-type]
    )


# Why a row is refused: field and reason by code; 0 is a good row. Codes are columns of `Judged.refused`.
REFUSALS: Final[tuple[tuple[str, str], ...]] = (
    ("", ""),
    ("patient", f"must be 1 to {MAX_NAME} printable characters"),
    ("device", f"must be 1 to {MAX_NAME} printable characters"),
    ("metric", "is not in the vitals catalogue; see docs/metrics"),
    ("value", "must be a finite number"),
    ("time", "must be between the years 2000 and 2100, in milliseconds UTC"),
    ("time", "is more than 5 minutes after it was received; set the device's clock"),
    ("boot", f"must be 0 to {MAX_BOOT}"),
    ("seq", f"must be 0 to {MAX_SEQ}"),
    ("quality", "must be 0 good, 1 questionable, 2 bad or 3 not worn"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of a batch. `refused` holds one code of `REFUSALS` per input row. `accepted` are the good rows, with
    implausible values marked BAD and fast clocks clamped to the receive time and marked QUESTIONABLE; `rows` are their
    places in the input; `implausible` and `clamped` say which of the accepted rows were changed."""

    accepted: Readings
    rows: npt.NDArray[np.intp]
    refused: npt.NDArray[np.uint8]
    implausible: npt.NDArray[np.bool_]
    clamped: npt.NDArray[np.bool_]


# By metric index: it says how the device is, not how the patient is (`Vital.of_device`).
OF_DEVICE: Final = np.array([v.of_device for v in CATALOGUE], dtype=np.bool_)
_HARD_LOW: Final = np.array([v.hard_low for v in CATALOGUE] + [np.nan], dtype=np.float32)
_HARD_HIGH: Final = np.array([v.hard_high for v in CATALOGUE] + [np.nan], dtype=np.float32)


def judge(readings: Readings) -> Judged:
    """Apply the rules of the edge to every row. Pure: the receive time is in the rows.

    A value outside the hard range is *kept*, marked BAD: zero may be asystole, apnoea or a sensor off, so a nurse must
    hear of it (as a technical alarm), but it is never a vital sign.
    """
    refused = np.zeros(len(readings), dtype=np.uint8)

    def refuse(rows: npt.NDArray[np.bool_], code: int) -> None:
        if rows.any():
            refused[rows & (refused == 0)] = code

    for names, code in ((readings.patient, 1), (readings.device, 2)):
        if not all_good(names.names):  # names that no row uses may be bad
            refuse(~_good_names(names), code)
    refuse(readings.metric < 0, 3)
    refuse(~np.isfinite(readings.value), 4)
    refuse((readings.time_ms < EARLIEST_MS) | (readings.time_ms >= LATEST_MS), 5)
    ahead = readings.time_ms - readings.received_ms
    refuse(ahead > REFUSE_AFTER_MS, 6)
    refuse((readings.boot < 0) | (readings.boot > MAX_BOOT), 7)
    refuse((readings.seq < 0) | (readings.seq > MAX_SEQ), 8)
    refuse(readings.quality > Quality.NOT_WORN, 9)

    rows = np.flatnonzero(refused == 0)
    kept = readings if len(rows) == len(readings) else readings.take(rows)
    clamped = kept.time_ms - kept.received_ms > CLAMP_AFTER_MS
    implausible = (kept.value < _HARD_LOW[kept.metric]) | (kept.value > _HARD_HIGH[kept.metric])
    if clamped.any() or implausible.any():
        quality = np.where(clamped, np.maximum(kept.quality, Quality.QUESTIONABLE), kept.quality)
        quality = np.where(implausible, np.maximum(quality, Quality.BAD), quality).astype(np.uint8)
        kept = replace(kept, time_ms=np.where(clamped, kept.received_ms, kept.time_ms), quality=quality)
    return Judged(accepted=kept, rows=rows, refused=refused, implausible=implausible, clamped=clamped)


def rank(readings: Readings) -> npt.NDArray[np.uint64]:
    """The order of readings within one second as one number: milliseconds, then boot, then seq; larger wins.

    >>> MAX_SEQ < 2**36 and MAX_BOOT < 2**16 and 999 < 2**10
    True
    """
    millis = (readings.time_ms % 1000).astype(np.uint64) << np.uint64(52)
    boot = readings.boot.astype(np.uint64) << np.uint64(36)
    return np.asarray(millis | boot | readings.seq.astype(np.uint64), dtype=np.uint64)


def concat(parts: list[Readings]) -> Readings:
    """All rows of `parts`, in order. `parts` must not be empty."""
    if not parts:
        raise InvalidInput("parts", "nothing to join")
    if len(parts) == 1:
        return parts[0]
    return Readings(
        patient=_join([p.patient for p in parts]),
        device=_join([p.device for p in parts]),
        metric=np.concatenate([p.metric for p in parts]),
        value=np.concatenate([p.value for p in parts]),
        time_ms=np.concatenate([p.time_ms for p in parts]),
        received_ms=np.concatenate([p.received_ms for p in parts]),
        boot=np.concatenate([p.boot for p in parts]),
        seq=np.concatenate([p.seq for p in parts]),
        quality=np.concatenate([p.quality for p in parts]),
    )


def joined_to_judge(parts: Sequence[Readings]) -> Readings:
    """All rows of `parts`, to be judged at once. Names that are good, nearly always all of them, need no joining: any will
    do, so those of the outcome mean nothing. `parts` must not be empty."""
    if not all(all_good(p.patient.names) and all_good(p.device.names) for p in parts):
        return concat(list(parts))
    rows = sum(len(p) for p in parts)
    return Readings(
        patient=constant("good", rows),
        device=constant("good", rows),
        metric=_joined([p.metric for p in parts]),
        value=_joined([p.value for p in parts]),
        time_ms=_joined([p.time_ms for p in parts]),
        received_ms=_joined([p.received_ms for p in parts]),
        boot=_joined([p.boot for p in parts]),
        seq=_joined([p.seq for p in parts]),
        quality=_joined([p.quality for p in parts]),
    )


def _joined(columns: Sequence[npt.NDArray[Number]]) -> npt.NDArray[Number]:
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def _good_names(column: Labels) -> npt.NDArray[np.bool_]:
    good = np.array([good_name(name) for name in column.names] or [False], dtype=np.bool_)
    return np.asarray(good[column.codes], dtype=np.bool_)


def _join(parts: list[Labels]) -> Labels:
    index: defaultdict[str, int] = defaultdict()
    index.default_factory = index.__len__  # a new name gets the next number
    codes = [np.array([*map(index.__getitem__, part.names)] or [0], dtype=np.int32)[part.codes] for part in parts]
    return Labels(codes=np.concatenate(codes), names=tuple(index))


def _trim(column: Labels) -> Labels:
    """Drop names that no row uses: a frame split by partition must not carry other patients' keys."""
    if not len(column.codes):
        return Labels(codes=column.codes, names=())
    used, codes = np.unique(column.codes, return_inverse=True)
    if len(used) == len(column.names):
        return column
    return Labels(codes=codes.astype(np.int32), names=tuple(column.names[i] for i in used))
