"""Which version a request is about, and requests that are sent again: ETag, If-Match, If-None-Match and Idempotency-Key."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import Header, Response

from api.problems import Problem

_ETAG: Final = re.compile(r'"v(\d{1,9})"')
UNCHANGED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "You have it already (If-None-Match)."}}

IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description='ETag of what you saw, like "v3": 412 when it has changed since.'),
]
IfNoneMatch = Annotated[
    str | None,
    Header(alias="If-None-Match", max_length=1000, description="ETag of what you have: 304 while it is the same."),
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="A retry of the same request with the same key gives the first answer and changes nothing more; another "
        "request with it is refused (422). Keys are yours alone, and known for the next 100,000 changes of alarms at least.",
    ),
]


def etag(version: int) -> str:
    """The ETag of something at `version`."""
    return f'"v{version}"'


def version_asked(if_match: str | None) -> int | None:
    """The version that `If-Match` names; None: any. A tag that nothing of ours has matches none."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match.strip())
    return int(found.group(1)) if found else -1


def unchanged(if_none_match: str | None, etag: str) -> Response | None:
    """The answer to somebody who has what `etag` names already; None: send it. Tags are compared weakly (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return None
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return Response(status_code=304, headers={"ETag": etag}) if etag in tags or "*" in tags else None


def reused() -> Problem:
    """An idempotency key that this person used for something else."""
    return Problem(422, "idempotency-key-reused", "This Idempotency-Key was used for another request; take a new one.")
