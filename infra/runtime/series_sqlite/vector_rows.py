"""Rows of windows and scores as bytes: segments as they came, chunks as compressed columns. Pure.

A table is an array of 32-bit words, one row per window or score: patient, revision, end in milliseconds (two words), then the
numbers as float32. All rows of a table have the same layout, that is the same meaning of these numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infra.runtime.series_sqlite.rows import SPAN_MS, group_of, sealed, unsealed

Words = npt.NDArray[np.uint32]
Longs = npt.NDArray[np.int64]
Piece = tuple[int, Words]
"""A layout, and rows of it."""

_PATIENT, _REVISION, _END, _NUMBERS = 0, 1, 2, 4  # the first word of each
_MOST: Final = np.iinfo(np.uint32).max
# Bytes of one place together, as for readings: 100 bytes a window of 80 numbers; zstd saves a tenth of that in twice the time.
_CODEC: Final = pa.Codec("lz4_raw")


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorChunk:
    """`rows` windows or scores of one patient and layout that end in one span, oldest first; `words` of each, without
    what the other fields say."""

    span: int
    patient: int
    layout: int
    rows: int
    words: int
    body: bytes


def table_of(patient: Longs, end_ms: Longs, revision: Longs, numbers: Sequence[npt.NDArray[np.float32]]) -> Words:
    """A table of columns of equal length."""
    words = np.empty((len(patient), _NUMBERS + len(numbers)), dtype="<u4")
    words[:, _PATIENT] = patient
    words[:, _REVISION] = np.minimum(revision, _MOST)
    words[:, _END:_NUMBERS] = end_ms.astype("<i8").view("<u4").reshape(-1, 2)
    for place, column in enumerate(numbers, _NUMBERS):
        words[:, place] = column.astype("<f4", copy=False).view("<u4")
    return words


def ends(words: Words) -> Longs:
    """The column of ends, in milliseconds."""
    return np.ascontiguousarray(words[:, _END:_NUMBERS]).view("<i8").reshape(-1)


def revisions(words: Words) -> list[int]:
    """The column of revisions."""
    return [int(revision) for revision in words[:, _REVISION]]


def numbers(words: Words) -> npt.NDArray[np.float32]:
    """The numbers, one row per window or score."""
    return np.ascontiguousarray(words[:, _NUMBERS:]).view("<f4")


def of_patient(words: Words, patient: int) -> Words:
    """The rows of one patient."""
    return np.asarray(words[words[:, _PATIENT] == patient])


def segments(words: Words) -> Iterator[tuple[int, int, memoryview]]:
    """Group, oldest end and body of each segment: the rows of one group of patients, in their order."""
    group = group_of(words[:, _PATIENT].astype(np.int64))
    order = np.argsort(group, kind="stable")
    words, group = np.take(words, order, axis=0), group[order]
    end_ms = ends(words)
    edges = [*np.flatnonzero(np.diff(group, prepend=-1)).tolist(), len(group)]
    for a, b in itertools.pairwise(edges):
        yield int(group[a]), int(end_ms[a:b].min()), words[a:b].data.cast("B")


def rows_of(body: bytes, words: int) -> Words:
    """The rows of a segment with `words` words a row."""
    return np.frombuffer(body, dtype="<u4").reshape(-1, words)


def newest(pieces: Sequence[Piece]) -> dict[int, Words]:
    """By layout the rows that count, by patient and end: of rows of one patient that end at the same time, in whatever layout,
    the one of the highest revision, then the last. `pieces` are given as they were written, oldest first."""
    of_layout: dict[int, list[tuple[int, Words]]] = {}
    for number, (layout, words) in enumerate(pieces):
        if len(words):
            of_layout.setdefault(layout, []).append((number, words))
    if not of_layout:
        return {}
    tables = {layout: _joined([words for _, words in parts]) for layout, parts in of_layout.items()}
    written = np.concatenate([np.full(len(words), n) for parts in of_layout.values() for n, words in parts])
    patient = np.concatenate([words[:, _PATIENT] for words in tables.values()])
    revision = np.concatenate([words[:, _REVISION] for words in tables.values()])
    end_ms = np.concatenate([ends(words) for words in tables.values()])
    order = np.lexsort((written, revision, end_ms, patient))
    same = (patient[order[1:]] == patient[order[:-1]]) & (end_ms[order[1:]] == end_ms[order[:-1]])
    chosen = order[np.append(~same, True)]
    found, start = {}, 0
    for layout, words in tables.items():
        mine = chosen[(chosen >= start) & (chosen < start + len(words))] - start
        start += len(words)
        if len(mine):
            found[layout] = np.take(words, mine, axis=0)
    return found


def _joined(tables: Sequence[Words]) -> Words:
    return tables[0] if len(tables) == 1 else np.concatenate(tables)


def pack(layout: int, words: Words) -> Iterator[VectorChunk]:
    """Chunks of rows of one layout that are sorted by patient and end, as `newest` gives them."""
    patient, end_ms = words[:, _PATIENT].astype(np.int64), ends(words)
    span = end_ms // SPAN_MS
    first = (np.diff(patient, prepend=-1) != 0) | (np.diff(span, prepend=-1) != 0)
    short = np.ascontiguousarray(np.delete(words, (_PATIENT, _END + 1), axis=1))
    short[:, _END - 1] = end_ms % SPAN_MS
    table = short.view(np.uint8)
    edges = np.append(np.flatnonzero(first), len(words))
    for a, b in itertools.pairwise(edges.tolist()):
        body = sealed(_CODEC.compress(table[a:b].T.tobytes(), asbytes=True))
        yield VectorChunk(
            span=int(span[a]), patient=int(patient[a]), layout=layout, rows=b - a, words=short.shape[1], body=body
        )


def unpack(chunk: VectorChunk) -> Words:
    """The rows of a chunk. Raises `InvalidInput` for a body that is none."""
    plain = _CODEC.decompress(unsealed(chunk.body), chunk.rows * chunk.words * 4, asbytes=True)
    bytes_of = np.frombuffer(plain, dtype=np.uint8).reshape(chunk.words * 4, chunk.rows)
    short = np.ascontiguousarray(bytes_of.T).view("<u4")
    words: np.ndarray[Any, np.dtype[np.uint32]] = np.empty((chunk.rows, chunk.words + 2), dtype="<u4")
    words[:, _PATIENT] = chunk.patient
    words[:, _REVISION] = short[:, 0]
    end_ms = short[:, 1].astype(np.int64) + chunk.span * SPAN_MS
    words[:, _END:_NUMBERS] = end_ms.view("<u4").reshape(-1, 2)
    words[:, _NUMBERS:] = short[:, 2:]
    return words
