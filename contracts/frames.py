"""Columnar frames: one Kafka message is one Arrow IPC stream with one record batch.

This module knows the envelope only: schema name and version in the Arrow metadata, encoding, decoding, and columns
as numpy arrays. What the columns mean is in `readings.py`, `windows.py`, `latest.py` and `scores.py`.

Rules of evolution: an unknown column is ignored, a missing required one is refused, a newer major version is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts.errors import InvalidInput, UnsupportedVersion

Array = npt.NDArray[np.generic]

SCHEMA_KEY = b"vigil.schema"
MAX_FRAME_BYTES = 8 * 1024 * 1024

_LABELS: Final = pa.dictionary(pa.int32(), pa.utf8())
_ARROW_TYPES: Final = {np.dtype(t): pa.from_numpy_dtype(t) for t in (np.float32, np.int64, np.int32, np.uint8)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """A dictionary-encoded text column: row i reads `names[codes[i]]`. `codes` is int32, shape (rows,)."""

    codes: npt.NDArray[np.int32]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Labels:
        """The chosen rows; the names are shared, not trimmed."""
        return Labels(codes=self.codes[rows], names=self.names)

    def tolist(self) -> list[str]:
        """One name per row."""
        return [self.names[c] for c in self.codes]


def labels(values: Sequence[str]) -> Labels:
    """Dictionary-encode `values`, names in order of first appearance."""
    index: dict[str, int] = {}
    codes = np.fromiter((index.setdefault(v, len(index)) for v in values), dtype=np.int32, count=len(values))
    return Labels(codes=codes, names=tuple(index))


def constant(name: str, rows: int) -> Labels:
    """A text column with the same name in every row."""
    return Labels(codes=np.zeros(rows, dtype=np.int32), names=(name,))


def encode(schema: str, columns: Mapping[str, Array | Labels]) -> bytes:
    """Encode equally long columns as one frame of `schema`, for example `readings/1`."""
    layout, kinds = _layout(
        schema, tuple((name, None if isinstance(c, Labels) else c.dtype.str) for name, c in columns.items())
    )
    arrays = [
        pa.DictionaryArray.from_arrays(pa.array(column.codes, pa.int32()), pa.array(column.names, pa.utf8()))
        if isinstance(column, Labels)
        else pa.array(column, kind)
        for column, kind in zip(columns.values(), kinds, strict=True)
    ]
    batch = pa.RecordBatch.from_arrays(arrays, schema=layout)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


@lru_cache(maxsize=256)  # a topic's frames differ in a few sets of metrics; building a schema costs more than the rows
def _layout(schema: str, columns: tuple[tuple[str, str | None], ...]) -> tuple[pa.Schema, tuple[pa.DataType, ...]]:
    """The Arrow schema of columns by name and numpy type, None for labels; and the type of each column."""
    fields = [
        pa.field(name, _LABELS if dtype is None else pa.from_numpy_dtype(np.dtype(dtype)), nullable=False)
        for name, dtype in columns
    ]
    return pa.schema(fields, metadata={SCHEMA_KEY: schema.encode()}), tuple(field.type for field in fields)


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame: its schema name, minor-agnostic, and its columns by name."""

    schema: str
    batch: pa.RecordBatch

    @property
    def rows(self) -> int:
        return int(self.batch.num_rows)

    @property
    def names(self) -> list[str]:
        return list(self.batch.schema.names)

    def numbers(self, name: str, dtype: npt.DTypeLike, *, default: float | None = None) -> Array:
        """Column `name` as `dtype`. Without a `default` a missing column is refused; nulls always are (float: NaN)."""
        column = self._column(name)
        if column is None:
            if default is None:
                raise InvalidInput(name, "the column is missing; see the schema of this topic")
            return np.full(self.rows, default, dtype=dtype)
        wanted = np.dtype(dtype)
        if column.type == _ARROW_TYPES.get(wanted) and not column.null_count:
            return np.asarray(column.to_numpy(zero_copy_only=False))
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise InvalidInput(name, f"has type {column.type}, expected {wanted}")
        if wanted.kind in "iu" and not pa.types.is_integer(column.type):
            raise InvalidInput(name, f"has type {column.type}, expected whole numbers ({wanted})")
        if column.null_count and wanted.kind != "f":
            raise InvalidInput(name, "holds nulls; every row needs a value")
        values = column.to_numpy(zero_copy_only=False)
        if wanted.kind in "iu" and values.dtype != wanted and len(values):
            info = np.iinfo(wanted)
            if int(values.min()) < info.min or int(values.max()) > info.max:
                raise InvalidInput(name, f"holds numbers that do not fit {wanted}")
        with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite and is refused row by row
            return np.asarray(values.astype(wanted, copy=False))

    def text(self, name: str) -> Labels:
        """Column `name` as labels; plain text columns are dictionary-encoded here."""
        column = self._column(name)
        if column is None:
            raise InvalidInput(name, "the column is missing; see the schema of this topic")
        if column.type != _LABELS:
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                column = column.dictionary_encode()
            if not pa.types.is_dictionary(column.type) or not (
                pa.types.is_string(column.type.value_type) or pa.types.is_large_string(column.type.value_type)
            ):
                raise InvalidInput(name, f"has type {column.type}, expected text")
        if column.null_count or column.dictionary.null_count:
            raise InvalidInput(name, "holds nulls; every row needs a text")
        codes = column.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
        return Labels(codes=codes, names=tuple(column.dictionary.to_pylist()))

    def _column(self, name: str) -> pa.Array | None:
        index = self.batch.schema.get_field_index(name)
        return None if index < 0 else self.batch.column(index)


def decode(payload: bytes, schema: str) -> Frame:
    """Decode a frame and check that it speaks `schema` ("name/major").

    Raises `InvalidInput` for anything that is not a whole, valid frame of that name, and `UnsupportedVersion` for a
    newer major version.
    """
    if len(payload) > MAX_FRAME_BYTES:
        raise InvalidInput("payload", f"is larger than {MAX_FRAME_BYTES} bytes; send smaller batches")
    try:
        with pa.ipc.open_stream(pa.py_buffer(payload)) as reader:
            found = (reader.schema.metadata or {}).get(SCHEMA_KEY, b"").decode("utf-8", "replace")
            check_schema(found, schema)
            batches = list(reader)
        if len(batches) == 1:
            batch = batches[0]
        elif batches:
            batch = pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
        else:
            raise InvalidInput("payload", "holds a schema but no record batch")
        # Full validation walks offsets and dictionary indices: bytes from outside must not index out of bounds later.
        batch.validate(full=True)
    except InvalidInput:
        raise
    except (pa.ArrowException, OSError, ValueError, IndexError, RecursionError) as error:
        raise InvalidInput("payload", "is not a whole Arrow IPC stream") from error
    return Frame(found, batch)


def check_schema(found: str, expected: str) -> None:
    """Compare "name/major" texts; raises when `found` is another schema or a newer major version."""
    name, _, major = expected.partition("/")
    found_name, _, found_major = found.partition("/")
    if found_name != name or not found_major.isdecimal() or not found_major.isascii():
        raise InvalidInput("schema", f"the Arrow metadata must say vigil.schema = {expected}")
    if int(found_major) > int(major):
        raise UnsupportedVersion("schema", f"is {name}/{found_major[:9]}; this reader knows {expected}: upgrade it first")
    if int(found_major) < 1:
        raise InvalidInput("schema", f"the Arrow metadata must say vigil.schema = {expected}")
