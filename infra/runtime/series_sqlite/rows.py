"""Rows of readings as bytes: segments as they came, chunks as compressed columns. Pure."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts.errors import InvalidInput
from contracts.readings import Readings
from infra.runtime.series import Times, newest_each_second, tie_order

SPAN_MS: Final = 600_000
GROUP_BITS: Final = 6  # 64 patients a group
METRIC_BITS: Final = 8
_METRIC_MASK: Final = (1 << METRIC_BITS) - 1
_PATIENT_BITS: Final = 32
SPAN_SHIFT: Final = _PATIENT_BITS + METRIC_BITS

Rows = np.ndarray[Any, np.dtype[np.void]]
Number = TypeVar("Number", int, npt.NDArray[np.int64])
# A row of a segment. `series` is the place of the patient in the group and the metric; 24 bytes, three machine words.
ROW: Final = np.dtype(
    [("time", "<i8"), ("order", "<i8"), ("value", "<f4"), ("series", "<u2"), ("quality", "u1"), ("spare", "u1")]
)
_WORDS: Final = ROW.itemsize // 8
# A row of a chunk, time and order as differences to the row before.
_STEP: Final = np.dtype([("time", "<i4"), ("order", "<i8"), ("value", "<f4"), ("quality", "u1")])
# LZ4 after transposing bytes: 0.7 to 1.7 bytes a point at 4 µs a chunk; zstd saves a fifth of that and takes seven times as long.
_CODEC: Final = pa.Codec("lz4_raw")
_SEAL_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """`rows` readings of one patient and metric in one span; `key` orders chunks by span, patient, metric."""

    key: int
    rows: int
    body: bytes


def chunk_key(span: int, patient: int, metric: int) -> int:
    """The key of a chunk; `span` counts ten minutes from 1970."""
    return span << SPAN_SHIFT | patient << METRIC_BITS | metric


def group_of(patient: Number) -> Number:
    """The group that a patient number, or each of many, belongs to."""
    return patient >> GROUP_BITS


def series_of(patient: int, metric: int) -> int:
    """The number of a patient's metric within the group."""
    return (patient & ((1 << GROUP_BITS) - 1)) << METRIC_BITS | metric


def segments(readings: Readings, patients: npt.NDArray[np.int64]) -> Iterator[tuple[int, int, int, memoryview]]:
    """Group, number of rows, oldest time and body of each segment. `patients`: the number of each row's patient."""
    rows = np.empty(len(readings), dtype=ROW)
    rows["time"] = readings.time_ms
    rows["order"] = tie_order(readings)
    rows["value"] = readings.value
    rows["series"] = (patients & ((1 << GROUP_BITS) - 1)) << METRIC_BITS | readings.metric
    rows["quality"] = readings.quality
    rows["spare"] = 0
    words = _words(rows)
    group = patients >> GROUP_BITS
    if len(group) and (group != group[0]).any():
        narrow = group.astype(np.uint16) if int(group.max()) < 1 << 16 else group
        order = np.argsort(narrow, kind="stable")  # radix sort for 16 bits
        words, group = np.take(words, order, axis=0), group[order]
    body = np.ascontiguousarray(words).data.cast("B")
    edges = [*np.flatnonzero(np.diff(group, prepend=-1)).tolist(), len(group)]
    for a, b in itertools.pairwise(edges):
        yield int(group[a]), b - a, int(words[a:b, 0].min()), body[a * ROW.itemsize : b * ROW.itemsize]


def join(bodies: Sequence[bytes]) -> Rows:
    """The rows of segments, in the order they were written."""
    return np.frombuffer(b"".join(bodies), dtype=ROW)


def concat(parts: Sequence[Rows]) -> Rows:
    """All rows, in this order. At least one part."""
    return _rows(np.concatenate([_words(part) for part in parts]))


def newest(rows: Rows) -> Rows:
    """The rows that count, sorted by series and time."""
    index = newest_each_second(rows["series"], np.ascontiguousarray(rows["time"]), np.ascontiguousarray(rows["order"]))
    return _take(rows, index)


def keys_of(rows: Rows, group: int) -> npt.NDArray[np.int64]:
    """The key of the chunk that each row belongs to."""
    series = rows["series"].astype(np.int64)
    patient = group << GROUP_BITS | series >> METRIC_BITS
    return np.asarray((rows["time"] // SPAN_MS) << SPAN_SHIFT | patient << METRIC_BITS | series & _METRIC_MASK)


def pack(rows: Rows, group: int) -> list[Chunk]:
    """Chunks of rows that are sorted and distinct, as `newest` gives them."""
    if not len(rows):
        return []
    keys = keys_of(rows, group)
    first = np.diff(keys, prepend=-1) != 0
    time, order = rows["time"], rows["order"]
    steps = np.empty(len(rows), dtype=_STEP)
    steps["time"] = np.where(first, time % SPAN_MS, np.diff(time, prepend=0))
    steps["order"] = np.where(first, order, np.diff(order, prepend=0))
    steps["value"] = rows["value"]
    steps["quality"] = rows["quality"]
    table = steps.view(np.uint8).reshape(-1, _STEP.itemsize)
    edges = np.append(np.flatnonzero(first), len(rows))
    return [
        Chunk(key=key, rows=b - a, body=sealed(_CODEC.compress(table[a:b].T.tobytes(), asbytes=True)))
        for (a, b), key in zip(itertools.pairwise(edges.tolist()), keys[edges[:-1]].tolist(), strict=True)
    ]


def sealed(body: bytes) -> bytes:
    """The body of a chunk with its check sum behind it."""
    # Neither SQLite nor LZ4 notices a changed byte: it would be shown as a measurement.
    return body + zlib.crc32(body).to_bytes(_SEAL_BYTES, "little")


def unsealed(body: bytes) -> bytes:
    """What was sealed. Raises `InvalidInput` when it is no longer what it was."""
    found, seal = body[:-_SEAL_BYTES], body[-_SEAL_BYTES:]
    if int.from_bytes(seal, "little") != zlib.crc32(found):
        raise InvalidInput("chunk", "is damaged")
    return found


def plain(chunk: Chunk) -> bytes:
    """The columns of a chunk, byte by byte: first bytes of all rows, then second bytes. Raises `InvalidInput` for a body
    that is none."""
    found: bytes = _CODEC.decompress(unsealed(chunk.body), chunk.rows * _STEP.itemsize, asbytes=True)
    return found


def unpack(chunks: Sequence[Chunk], plains: Sequence[bytes]) -> Rows:
    """The rows of chunks one after another, each in time order; `plains`: what `plain` says of each."""
    counts = np.array([chunk.rows for chunk in chunks], dtype=np.int64)
    keys = np.array([chunk.key for chunk in chunks], dtype=np.int64)
    starts = np.cumsum(counts) - counts
    table = np.empty((_STEP.itemsize, int(counts.sum())), dtype=np.uint8)
    for start, count, body in zip(starts.tolist(), counts.tolist(), plains, strict=True):
        table[:, start : start + count] = np.frombuffer(body, dtype=np.uint8).reshape(_STEP.itemsize, count)
    rows = np.empty(table.shape[1], dtype=ROW)
    rows["time"] = _sums(_field(table, "time"), starts, counts, (keys >> SPAN_SHIFT) * SPAN_MS)
    rows["order"] = _sums(_field(table, "order"), starts, counts, np.zeros_like(keys))
    rows["value"] = _field(table, "value")
    patients = keys >> METRIC_BITS & ((1 << GROUP_BITS) - 1)
    rows["series"] = np.repeat(patients << METRIC_BITS | keys & _METRIC_MASK, counts)
    rows["quality"] = _field(table, "quality")
    rows["spare"] = 0
    return rows


def _field(table: npt.NDArray[np.uint8], name: str) -> npt.NDArray[Any]:
    kind, place = _STEP.fields[name][:2]  # type: ignore[index]
    column = np.empty((table.shape[1], kind.itemsize), dtype=np.uint8)
    for byte in range(kind.itemsize):  # far faster than a transposition
        column[:, byte] = table[place + byte]
    return column.view(kind).reshape(-1)


def _sums(
    steps: npt.NDArray[Any], starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], bases: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """From differences to numbers, chunk by chunk, each on top of its base. No chunk is empty."""
    sums = np.cumsum(steps, dtype=np.int64)
    return np.asarray(sums + np.repeat(bases - (sums[starts] - steps[starts]), counts))


def last_of_each(rows: Rows) -> Rows:
    """The newest row of each series, of rows sorted by series and time."""
    return _take(rows, np.flatnonzero(np.diff(rows["series"].astype(np.int64), append=-1)))


def of_series(rows: Rows, series: int) -> Rows:
    """The rows of one patient and metric of the group."""
    return _take(rows, np.flatnonzero(rows["series"] == series))


def merged(stored: Rows, fresh: Rows) -> Rows:
    """Of one series, the rows that count: `stored` as chunks give them, `fresh` in any order."""
    if not len(fresh):
        return stored
    # Fresh rows are nearly always the newest: only what lies beside them is put in order again.
    begin = int(np.searchsorted(stored["time"], fresh["time"].min() // 1000 * 1000))
    return concat([stored[:begin], newest(concat([stored[begin:], fresh]))])


def within(rows: Rows, from_ms: int, to_ms: int) -> Rows:
    """The rows in [from, to), of rows in time order."""
    begin, end = np.searchsorted(rows["time"], (from_ms, to_ms))
    return rows[begin:end]


def of_patient(rows: Rows, patient: int) -> Rows:
    """The rows of one patient of the group."""
    return _take(rows, np.flatnonzero(rows["series"] >> METRIC_BITS == series_of(patient, 0) >> METRIC_BITS))


def times(rows: Rows) -> Times:
    """The column of times."""
    return np.ascontiguousarray(rows["time"])


# numpy copies rows of several fields one by one through a slow path; as machine words they go at memory speed.


def _words(rows: Rows) -> npt.NDArray[np.int64]:
    return np.ascontiguousarray(rows).view(np.int64).reshape(-1, _WORDS)


def _rows(words: npt.NDArray[np.int64]) -> Rows:
    return np.asarray(words.view(ROW).reshape(-1))


def _take(rows: Rows, index: npt.NDArray[np.intp]) -> Rows:
    return _rows(np.take(_words(rows), index, axis=0))
