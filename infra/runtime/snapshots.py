"""Snapshots: a room's state with the offsets it stands for, as one message on `state.snapshots`.

Layout: `VSNP`, format version (1 byte), CRC-32 of the rest (4 bytes), length of the offsets (4 bytes), the offsets as
JSON `{topic: next offset}`, the state compressed with zstd. Little endian. The checksum comes first because a state that
was damaged on a disk may decode without a complaint and then alarm, or not alarm, for the wrong patient.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import cramjam

from contracts.errors import InvalidInput, UnsupportedVersion

VERSION: Final = 1
_MAGIC: Final = b"VSNP"
_HEAD: Final = struct.Struct("<4sBII")
_COMPRESSION_LEVEL: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`state` with every record before `offsets[topic]` in it. Its outputs were durable before it was written."""

    offsets: Mapping[str, int]
    state: bytes


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The message value."""
    offsets = json.dumps(dict(sorted(snapshot.offsets.items())), separators=(",", ":")).encode()
    body = offsets + bytes(cramjam.zstd.compress(snapshot.state, level=_COMPRESSION_LEVEL))
    return _HEAD.pack(_MAGIC, VERSION, zlib.crc32(body), len(offsets)) + body


def decode_offsets(value: bytes) -> dict[str, int]:
    """The offsets alone, after the checksum was proved. Raises `InvalidInput` for anything that is not a snapshot."""
    return _parts(value)[0]


def decode_snapshot(value: bytes) -> Snapshot:
    """Raises `InvalidInput` for a damaged snapshot, `UnsupportedVersion` for one of a newer version."""
    offsets, packed = _parts(value)
    try:
        state = bytes(cramjam.zstd.decompress(packed))
    except cramjam.DecompressionError as error:
        raise InvalidInput("snapshot", "its state cannot be decompressed") from error
    return Snapshot(offsets=offsets, state=state)


def _parts(value: bytes) -> tuple[dict[str, int], bytes]:
    if len(value) < _HEAD.size:
        raise InvalidInput("snapshot", "is shorter than its own head")
    magic, version, checksum, length = _HEAD.unpack_from(value)
    if magic != _MAGIC:
        raise InvalidInput("snapshot", "does not begin with VSNP")
    if version > VERSION:
        raise UnsupportedVersion("snapshot", f"has format {version}; this worker knows {VERSION}: upgrade it first")
    if version < VERSION:
        raise InvalidInput("snapshot", f"has format {version}, which never was one")
    body = value[_HEAD.size :]
    if zlib.crc32(body) != checksum:
        raise InvalidInput("snapshot", "its checksum does not fit")
    try:
        offsets = json.loads(body[:length])
    except ValueError as error:
        raise InvalidInput("snapshot", "its offsets cannot be read") from error
    if not isinstance(offsets, dict) or not all(type(offset) is int and offset >= 0 for offset in offsets.values()):
        raise InvalidInput("snapshot", "its offsets are not whole numbers by topic")
    return offsets, body[length:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A snapshot that was found, with its offsets read and its state still packed."""

    offsets: Mapping[str, int]
    value: bytes


def newest(candidates: Iterable[Candidate], limits: Mapping[str, int]) -> Candidate | None:
    """The candidate with the most records in it, among those that stay within `limits` in every topic.

    A snapshot past the end of the log belongs to a topic that has been created anew: it would hide new records. Order
    of writing does not count, because a worker that was thought dead may write late.
    """
    usable = (c for c in candidates if all(offset <= limits.get(topic, 0) for topic, offset in c.offsets.items()))
    return max(usable, key=lambda c: sum(c.offsets.values()), default=None)
