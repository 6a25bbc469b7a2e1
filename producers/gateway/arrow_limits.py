"""What an Arrow stream from outside may ask of us, checked before anything of it is unpacked.

Arrow can compress each buffer by itself, so eight megabytes may claim to hold terabytes, and a column without buffers
may claim any number of rows. Only the messages' metadata is read here: flatbuffers, laid out as in Arrow's
`Message.fbs`.
"""

from __future__ import annotations

import struct
from typing import Final

import pyarrow as pa

from contracts.errors import InvalidInput
from contracts.reading_json import MAX_READINGS
from producers.gateway.limits import MAX_ARROW_BATCHES, MAX_ARROW_COLUMNS, TooMuch

# Positions of the fields in their tables.
_MESSAGE_HEADER: Final = 2
_BATCH_LENGTH: Final = 0
_BATCH_NODES: Final = 1
_BATCH_COMPRESSION: Final = 3
_DICTIONARY_BATCH: Final = 1


def check_arrow(payload: bytes) -> None:
    """Raise `TooMuch` or `InvalidInput` unless `payload` is an Arrow stream of ordinary size with at least one row."""
    rows = batches = 0
    try:
        source = pa.BufferReader(payload)
        for number, message in enumerate(pa.ipc.MessageReader.open_stream(source)):
            if number == 0 and message.type != "schema":
                raise InvalidInput("payload", "is not a whole Arrow IPC stream")
            if message.type == "schema":
                continue
            batch = _batch(message.metadata.to_pybytes(), dictionary=message.type == "dictionary")
            batches += 1
            if message.type == "record batch":
                rows += batch
            if batches > MAX_ARROW_BATCHES:
                raise TooMuch("payload", f"holds more than {MAX_ARROW_BATCHES} record batches; send one")
            if rows > MAX_READINGS:
                raise TooMuch("readings", f"holds more than {MAX_READINGS} readings; send smaller batches")
        if source.tell() != len(payload):
            raise InvalidInput("payload", "goes on after the end of its Arrow stream; send one stream")
    except InvalidInput:
        raise
    except (pa.ArrowException, OSError, ValueError, struct.error) as error:
        raise InvalidInput("payload", "is not a whole Arrow IPC stream") from error
    if not rows:
        raise InvalidInput("readings", "is empty; send at least one reading")


def _batch(metadata: bytes, *, dictionary: bool) -> int:
    """The number of rows of a record or dictionary batch."""
    header = _table(metadata, _uint(metadata, 0), _MESSAGE_HEADER)
    batch = _table(metadata, header, _DICTIONARY_BATCH) if dictionary else header
    if _field(metadata, batch, _BATCH_COMPRESSION):
        raise InvalidInput("payload", "has compressed Arrow buffers; send them plain and compress the body with gzip")
    nodes = _field(metadata, batch, _BATCH_NODES)
    if nodes and _uint(metadata, nodes + _uint(metadata, nodes)) > MAX_ARROW_COLUMNS:
        raise InvalidInput("payload", f"has more than {MAX_ARROW_COLUMNS} columns; see the schema readings/1")
    length = _field(metadata, batch, _BATCH_LENGTH)
    rows: int = struct.unpack_from("<q", metadata, length)[0] if length else 0
    if rows < 0:
        raise InvalidInput("payload", "is not a whole Arrow IPC stream")
    return rows


def _table(data: bytes, table: int, field: int) -> int:
    position = _field(data, table, field)
    if not position:
        raise InvalidInput("payload", "is not a whole Arrow IPC stream")
    return position + _uint(data, position)


def _field(data: bytes, table: int, field: int) -> int:
    """Where field number `field` of the table at `table` stands; 0 when it is absent."""
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    size = int(struct.unpack_from("<H", data, vtable)[0])
    entry = 4 + 2 * field
    offset = int(struct.unpack_from("<H", data, vtable + entry)[0]) if entry < size else 0
    return table + offset if offset else 0


def _uint(data: bytes, position: int) -> int:
    return int(struct.unpack_from("<I", data, position)[0])
