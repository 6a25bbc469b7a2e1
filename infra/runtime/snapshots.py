"""Snapshots: a room's state with the offsets it stands for, as messages on `state.snapshots`.

The state is compressed with zstd and cut into parts of at most `PART_BYTES`, one message each: a district's rings are larger
than a message may be. Layout of a part: `VSNP`, format version (1 byte), CRC-32 of the rest (4 bytes), number of this part and
how many there are (2 bytes each), length of the offsets (4 bytes), the offsets as JSON `{topic: next offset}`, the piece of the
state. Little endian. The checksum comes first because a state that was damaged on a disk may decode without a complaint and
then alarm, or not alarm, for the wrong patient. Format 1, one part without the two numbers, is still read.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cramjam

from contracts.errors import InvalidInput, UnsupportedVersion

VERSION: Final = 2
PART_BYTES: Final = 4 * 1024 * 1024
_MAGIC: Final = b"VSNP"
_HEAD: Final = struct.Struct("<4sBI")
_HEAD_1: Final = struct.Struct("<I")
_HEAD_2: Final = struct.Struct("<HHI")
_COMPRESSION_LEVEL: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`state` with every record before `offsets[topic]` in it. Its outputs were durable before it was written."""

    offsets: Mapping[str, int]
    state: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One message of a snapshot: part `number` of `of`, a piece of the compressed state."""

    offsets: Mapping[str, int]
    number: int
    of: int
    piece: bytes


def encode_snapshot(snapshot: Snapshot) -> list[bytes]:
    """The message values, in order; at least one."""
    offsets = json.dumps(dict(sorted(snapshot.offsets.items())), separators=(",", ":")).encode()
    packed = bytes(cramjam.zstd.compress(snapshot.state, level=_COMPRESSION_LEVEL))
    pieces = [packed[at : at + PART_BYTES] for at in range(0, len(packed), PART_BYTES)]
    values = []
    for number, piece in enumerate(pieces):
        rest = _HEAD_2.pack(number, len(pieces), len(offsets)) + offsets + piece
        values.append(_HEAD.pack(_MAGIC, VERSION, zlib.crc32(rest)) + rest)
    return values


def part_key(key: bytes, number: int) -> bytes:
    """The message key of a part: the snapshot's own for the first."""
    return key + b"#%d" % number if number else key


def snapshot_key(part: bytes) -> bytes:
    """The key of the snapshot that a part's key belongs to."""
    return part.partition(b"#")[0]


def decode_part(value: bytes) -> Part:
    """One message, its checksum proved. Raises `InvalidInput` for anything that is not a part of a snapshot, and
    `UnsupportedVersion` for one of a newer version."""
    if len(value) < _HEAD.size:
        raise InvalidInput("snapshot", "is shorter than its own head")
    magic, version, checksum = _HEAD.unpack_from(value)
    if magic != _MAGIC:
        raise InvalidInput("snapshot", "does not begin with VSNP")
    if version > VERSION:
        raise UnsupportedVersion("snapshot", f"has format {version}; this worker knows {VERSION}: upgrade it first")
    if version < 1:
        raise InvalidInput("snapshot", f"has format {version}, which never was one")
    rest = value[_HEAD.size :]
    if version == 1:  # its checksum leaves out the length
        checked, head = rest[_HEAD_1.size :], _HEAD_1
    else:
        checked, head = rest, _HEAD_2
    if len(rest) < head.size or zlib.crc32(checked) != checksum:
        raise InvalidInput("snapshot", "its checksum does not fit")
    *place, length = head.unpack_from(rest)
    number, of = place or (0, 1)
    body = rest[head.size :]
    try:
        offsets = json.loads(body[:length])
    except ValueError as error:
        raise InvalidInput("snapshot", "its offsets cannot be read") from error
    if not isinstance(offsets, dict) or not all(type(offset) is int and offset >= 0 for offset in offsets.values()):
        raise InvalidInput("snapshot", "its offsets are not whole numbers by topic")
    if not 0 <= number < of:
        raise InvalidInput("snapshot", "its parts are counted wrongly")
    return Part(offsets=offsets, number=number, of=of, piece=body[length:])


def decode_snapshot(parts: Sequence[Part]) -> Snapshot:
    """The whole of `parts`, which are all of one snapshot and in order. Raises `InvalidInput` for a damaged state."""
    try:
        state = bytes(cramjam.zstd.decompress(b"".join(part.piece for part in parts)))
    except cramjam.DecompressionError as error:
        raise InvalidInput("snapshot", "its state cannot be decompressed") from error
    return Snapshot(offsets=parts[0].offsets, state=state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A whole snapshot that was found, its state still packed."""

    parts: tuple[Part, ...]

    @property
    def offsets(self) -> Mapping[str, int]:
        """What is in it: the next offset by topic."""
        return self.parts[0].offsets


class Gathering:
    """Whole snapshots of one room out of parts in any order. A worker that died between two parts leaves none."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], dict[int, Part]] = {}

    def add(self, part: Part) -> Candidate | None:
        """The snapshot that `part` completes, if it does."""
        kind = (part.of, *sorted(part.offsets.items()))
        parts = self._found.setdefault(kind, {})
        parts[part.number] = part
        if len(parts) < part.of:
            return None
        del self._found[kind]
        return Candidate(parts=tuple(parts[number] for number in range(part.of)))


def newest(candidates: Iterable[Candidate], limits: Mapping[str, int]) -> Candidate | None:
    """The candidate with the most records in it, among those that stay within `limits` in every topic.

    A snapshot past the end of the log belongs to a topic that has been created anew: it would hide new records. Order
    of writing does not count, because a worker that was thought dead may write late.
    """
    usable = (c for c in candidates if all(offset <= limits.get(topic, 0) for topic, offset in c.offsets.items()))
    return max(usable, key=lambda c: sum(c.offsets.values()), default=None)
