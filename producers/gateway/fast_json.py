"""The usual JSON, read five times as fast; whatever is unusual is left to the contract's own parser.

`contracts.reading_json` says what a JSON reading is and why one is refused. Here a payload is either understood in
full, with the very same result, or not at all (None): then the contract's parser decides. Nothing is refused here.

The decoder lets the last of two equal keys win, which the contract refuses. They are ruled out by counting: without a
backslash every quotation mark opens or closes a text, each reading has eight keys and five texts that are its own, one
or two more with its quality, and a key too many would add two marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidInput
from contracts.frames import labels
from contracts.reading_json import MAX_READINGS, parse_time
from contracts.readings import MAX_BOOT, MAX_SEQ, Quality, Readings, good_name
from contracts.vitals import CATALOGUE


class _Reading(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """`int | float` keeps 1 and 1.0 apart: the second is not a whole number."""

    patient: str
    device: str
    metric: str
    value: float
    unit: str
    time: str
    boot: int | float
    seq: int | float
    quality: str | int | float | msgspec.UnsetType = msgspec.UNSET


class _Batch(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    readings: list[_Reading]


_MARKS: Final = 26  # of a reading without quality
_MARKS_OF_BATCH: Final = 2
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
_UNITS: Final = {
    (vital.name, unit): (index, conversion.factor, conversion.offset)
    for index, vital in enumerate(CATALOGUE)
    for unit in (vital.unit, *vital.also)
    if (conversion := vital.factor_for(unit)) is not None
}
_QUALITY: Final[dict[str | int | float, int]] = {
    **{int(q): int(q) for q in Quality},
    **{q.name.lower(): int(q) for q in Quality},
}

_Row = tuple[str, str, int, float, int, int, int, int]

_reading: Final = msgspec.json.Decoder(_Reading)
_list: Final = msgspec.json.Decoder(list[_Reading])
_batch: Final = msgspec.json.Decoder(_Batch)


def read_fast(payload: bytes, *, received_ms: int) -> Readings | None:
    """The readings of one object, a list or `{"readings": […]}`, when all of them are good; else None."""
    if b"\\" in payload:
        return None
    try:
        marks = 0
        if payload.lstrip()[:1] == b"[":
            found = _list.decode(payload)
        elif b'"readings"' in payload:
            found, marks = _batch.decode(payload).readings, _MARKS_OF_BATCH
        else:
            found = [_reading.decode(payload)]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not 0 < len(found) <= MAX_READINGS or payload.count(b'"') != marks + _marks(found):
        return None
    known: _Known = {}
    rows = [_row(one, known) for one in found]
    good = [row for row in rows if row is not None]
    return _columns(good, received_ms) if len(good) == len(rows) else None


def read_each_fast(payloads: Sequence[bytes], *, received_ms: int) -> tuple[Readings, npt.NDArray[np.intp]]:
    """The readings of those payloads that are one good reading each, and which payloads those are."""
    known: _Known = {}
    rows: list[_Row] = []
    places: list[int] = []
    for place, payload in enumerate(payloads):
        if b"\\" in payload:
            continue
        try:
            one = _reading.decode(payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
        if payload.count(b'"') == _marks((one,)):
            row = _row(one, known)
            if row is not None:
                rows.append(row)
                places.append(place)
    return _columns(rows, received_ms), np.array(places, dtype=np.intp)


def _marks(readings: Iterable[_Reading]) -> int:
    """How many quotation marks these readings have when no key stands twice."""
    marks = 0
    for one in readings:
        quality = one.quality
        marks += _MARKS if quality is msgspec.UNSET else _MARKS + (4 if isinstance(quality, str) else 2)
    return marks


# What texts of this call were found to mean: a time, or a good name.
_Known = dict[str, int]


def _row(one: _Reading, known: _Known) -> _Row | None:
    unit = _UNITS.get((one.metric, one.unit))
    quality = int(Quality.GOOD) if one.quality is msgspec.UNSET else _QUALITY.get(one.quality)
    boot, seq = one.boot, one.seq
    if (
        unit is None
        or quality is None
        or type(one.quality) is float
        or type(boot) is not int
        or type(seq) is not int
        or not 0 <= boot <= MAX_BOOT
        or not 0 <= seq <= MAX_SEQ
    ):
        return None
    time_ms = known.get(one.time)
    if time_ms is None:
        try:
            time_ms = known[one.time] = parse_time(one.time)
        except InvalidInput:
            return None
    if not good_name(one.patient) or not good_name(one.device):
        return None
    index, factor, offset = unit
    value = one.value * factor + offset
    if not -_FLOAT32_MAX <= value <= _FLOAT32_MAX:
        return None
    return one.patient, one.device, index, value, time_ms, boot, seq, quality


def _columns(rows: Sequence[_Row], received_ms: int) -> Readings:
    patients, devices, metrics, values, times, boots, seqs, qualities = zip(*rows, strict=True) if rows else ((),) * 8
    return Readings(
        patient=labels(patients),
        device=labels(devices),
        metric=np.array(metrics, dtype=np.int16),
        value=np.array(values, dtype=np.float32),
        time_ms=np.array(times, dtype=np.int64),
        received_ms=np.full(len(rows), received_ms, dtype=np.int64),
        boot=np.array(boots, dtype=np.int32),
        seq=np.array(seqs, dtype=np.int64),
        quality=np.array(qualities, dtype=np.uint8),
    )
