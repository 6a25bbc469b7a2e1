"""What a request says about its body. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from producers.gateway.ingest import Media
from producers.gateway.problems import Problem

_MEDIA: Final[dict[str, Media]] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/vnd.apache.arrow.stream": "arrow",
}
_KNOWN: Final = ", ".join(_MEDIA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """How to read a body."""

    media: Media
    gzip: bool


@dataclass(slots=True)
class Headers:
    """The headers that matter here; `length` is None for a body that comes in chunks, and for none at all."""

    content_type: str | None = None
    content_encoding: str | None = None
    length: int | None = None
    origin: str | None = None
    host: str | None = None


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Pick them from ASGI's headers, whose names are in lower case. Of a header sent twice the last counts."""
    found = Headers()
    for name, value in raw:
        if name == b"content-type":
            found.content_type = value.decode("latin-1")
        elif name == b"content-length":
            found.length = int(value) if value.isdigit() else None
        elif name == b"content-encoding":
            found.content_encoding = value.decode("latin-1")
        elif name == b"host":
            found.host = value.decode("latin-1")
        elif name == b"origin":
            found.origin = value.decode("latin-1")
    return found


def body_of(headers: Headers) -> Body | Problem:
    """How to read the body, or why it cannot be read (415). No content type means JSON."""
    media = _media(headers.content_type)
    if media is None:
        return Problem(status=415, kind="unsupported-type", detail=f"Content-Type must be one of {_KNOWN}, in UTF-8.")
    encoding = (headers.content_encoding or "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        return Problem(status=415, kind="unsupported-encoding", detail="Content-Encoding must be gzip or left out.")
    return Body(media=media, gzip=encoding != "identity")


def _media(content_type: str | None) -> Media | None:
    if content_type is None or content_type == "application/json":
        return "json"
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8"):
            return None
    return _MEDIA.get(kind)
