"""Plain JSON readings: the format of devices, of the gateway and of any Kafka client that does not speak Arrow.

One object, `{"readings": [...]}`, a list, or one object per line (NDJSON). Strict: `true` and `"72"` are not numbers,
NaN and infinities are not JSON, a unit is required and converted once, unknown fields are refused.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import numpy as np

from contracts.errors import InvalidInput
from contracts.frames import labels
from contracts.readings import MAX_BOOT, MAX_SEQ, Quality, Readings, good_name
from contracts.vitals import CATALOGUE, INDEX

MAX_READINGS: Final = 50_000
_REQUIRED: Final = ("patient", "device", "metric", "value", "unit", "time", "boot", "seq")
_FIELDS: Final = frozenset((*_REQUIRED, "quality"))
_QUALITY: Final = {q.name.lower(): int(q) for q in Quality}
_FLOAT32_MAX: Final = 3.4028234663852886e38


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why reading number `index` of a batch was refused: the field at fault and what to do."""

    index: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """`readings` in catalogue units, `rows[i]` the place in the batch of reading i, and what was refused. `total` counts all."""

    readings: Readings
    rows: tuple[int, ...]
    rejected: tuple[Rejection, ...]
    total: int


def parse_readings(payload: bytes, *, received_ms: int, ndjson: bool = False) -> Parsed:
    """Parse a JSON payload received at `received_ms`.

    Raises `InvalidInput` when nothing could be read. A single bad reading is a `Rejection`; its neighbours are kept.
    """
    good: list[tuple[str, str, int, float, int, int, int, int]] = []
    rows: list[int] = []
    rejected: list[Rejection] = []
    items = _lines(payload) if ndjson else _items(payload)
    if len(items) > MAX_READINGS:
        raise InvalidInput("readings", f"holds more than {MAX_READINGS} readings; send smaller batches")
    for index, item in enumerate(items):
        try:
            good.append(_reading(item))
            rows.append(index)
        except InvalidInput as error:
            rejected.append(Rejection(index=index, field=error.field, reason=error.reason))
    return Parsed(readings=_columns(good, received_ms), rows=tuple(rows), rejected=tuple(rejected), total=len(items))


def _items(payload: bytes) -> list[Any]:
    document = _load(payload)
    if isinstance(document, dict):
        if "readings" not in document:
            return [document]
        extra = document.keys() - {"readings"}
        if extra:
            raise InvalidInput(_shown(min(extra)), "is not a known field beside readings")
        document = document["readings"]
    if not isinstance(document, list):
        raise InvalidInput("readings", "must be a list of readings")
    if not document:
        raise InvalidInput("readings", "is empty; send at least one reading")
    return document


def _lines(payload: bytes) -> list[Any]:
    items: list[Any] = []
    for line in payload.splitlines():
        if not line.strip():
            continue
        try:
            items.append(_load(line))
        except InvalidInput as error:
            items.append(error)
    if not items:
        raise InvalidInput("payload", "is empty; send at least one reading")
    return items


def _load(payload: bytes) -> Any:
    if not payload.strip():
        raise InvalidInput("payload", "is empty; send at least one reading")
    try:
        return json.loads(payload, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except InvalidInput:
        raise
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise InvalidInput("payload", "is not valid JSON") from error


def _refuse_constant(_: str) -> NoReturn:
    raise InvalidInput("payload", "NaN and Infinity are not JSON; leave the reading out or set its quality to bad")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidInput("payload", "an object names the same field twice")
    return found


def _reading(item: Any) -> tuple[str, str, int, float, int, int, int, int]:
    if isinstance(item, InvalidInput):
        raise item
    if not isinstance(item, dict):
        raise InvalidInput("reading", "must be an object")
    for name in _REQUIRED:
        if name not in item:
            raise InvalidInput(name, "is missing")
    if len(item) > len(_REQUIRED):
        extra = item.keys() - _FIELDS
        if extra:
            raise InvalidInput(_shown(min(extra)), f"is not a known field; known are {', '.join(sorted(_FIELDS))}")
    patient, device = _name(item, "patient"), _name(item, "device")
    metric = item["metric"]
    index = INDEX.get(metric) if isinstance(metric, str) else None
    if index is None:
        raise InvalidInput("metric", "is not in the vitals catalogue; `vigil metrics` lists the names")
    return (
        patient,
        device,
        index,
        _value(item["value"], item["unit"], index),
        parse_time(item["time"]),
        _whole(item, "boot", MAX_BOOT),
        _whole(item, "seq", MAX_SEQ),
        _quality(item.get("quality", "good")),
    )


def _name(item: dict[str, Any], field: str) -> str:
    name = item[field]
    if not isinstance(name, str) or not good_name(name):
        raise InvalidInput(field, "must be a text of 1 to 128 printable characters without outer spaces")
    return name


def _value(value: Any, unit: Any, index: int) -> float:
    vital = CATALOGUE[index]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput("value", "must be a number, not a text, true or null")
    try:
        number = float(value)
    except OverflowError:
        raise InvalidInput("value", "is too large") from None
    conversion = vital.factor_for(unit) if isinstance(unit, str) else None
    if conversion is None:
        raise InvalidInput("unit", f"must be one of {', '.join((vital.unit, *vital.also))} (UCUM) for {vital.name}")
    number = number * conversion.factor + conversion.offset
    if not math.isfinite(number) or abs(number) > _FLOAT32_MAX:
        raise InvalidInput("value", "must be a finite number")
    return number


def parse_time(text: Any) -> int:
    """RFC 3339 with a zone ("2026-03-01T10:00:00.000Z") to milliseconds since 1970 UTC; finer digits are cut off."""
    if not isinstance(text, str) or len(text) < 20 or text[10] not in "Tt" or text[4] != "-" or text[13] != ":":
        raise InvalidInput("time", "must be RFC 3339 with a zone, like 2026-03-01T10:00:00.000Z")
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput("time", "must be RFC 3339 with a zone, like 2026-03-01T10:00:00.000Z")
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _whole(item: dict[str, Any], field: str, largest: int) -> int:
    number = item[field]
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= largest:
        raise InvalidInput(field, f"must be a whole number from 0 to {largest}")
    return number


def _quality(quality: Any) -> int:
    if isinstance(quality, str) and quality in _QUALITY:
        return _QUALITY[quality]
    if isinstance(quality, int) and not isinstance(quality, bool) and quality in _QUALITY.values():
        return quality
    raise InvalidInput("quality", "must be good, questionable, bad or not_worn")


def _shown(field: str) -> str:
    """A field name safe to repeat in an error: names come from outside and may hold anything."""
    return field if field.isidentifier() and len(field) <= 40 else "payload"


def _columns(rows: list[tuple[str, str, int, float, int, int, int, int]], received_ms: int) -> Readings:
    patients, devices, metrics, values, times, boots, seqs, qualities = (
        zip(*rows, strict=True) if rows else ((),) * 8
    )
    return Readings(
        patient=labels(patients),
        device=labels(devices),
        metric=np.array(metrics, dtype=np.int16),
        value=np.array(values, dtype=np.float32),
        time_ms=np.array(times, dtype=np.int64),
        received_ms=np.full(len(rows), received_ms, dtype=np.int64),
        boot=np.array(boots, dtype=np.int32),
        seq=np.array(seqs, dtype=np.int64),
        quality=np.array(qualities, dtype=np.uint8) if rows else np.zeros(0, dtype=np.uint8),
    )


