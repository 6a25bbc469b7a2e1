"""Unpacking gzip bodies, up to a limit and no further."""

from __future__ import annotations

import zlib
from typing import Final

from contracts.errors import InvalidInput
from producers.gateway.limits import MAX_GZIP_MEMBERS, MAX_INFLATED_BYTES, TooMuch

_GZIP: Final = 16 + zlib.MAX_WBITS


def inflate(payload: bytes, *, limit: int = MAX_INFLATED_BYTES) -> bytes:
    """The content of a gzip file of one or more members.

    Never unpacks more than `limit` bytes: raises `TooMuch` as soon as there is one more. Raises `InvalidInput` for
    anything that is not whole gzip.
    """
    parts: list[bytes] = []
    size = 0
    for _ in range(MAX_GZIP_MEMBERS):
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(payload, limit - size + 1)
        except zlib.error as error:
            raise InvalidInput("payload", "is not whole gzip") from error
        size += len(part)
        if size > limit:
            raise TooMuch("payload", f"unpacks to more than {limit} bytes; send smaller batches")
        parts.append(part)
        if not member.eof:
            raise InvalidInput("payload", "is not whole gzip")
        payload = member.unused_data
        if not payload:
            return b"".join(parts)
    raise TooMuch("payload", f"has more than {MAX_GZIP_MEMBERS} gzip members; send one")
