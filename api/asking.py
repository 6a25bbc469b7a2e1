"""What every route asks for: the node, who acts, pages and spans of time. Wrong parameters are problems."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Query, Request

from api.access import ACTOR_HEADER
from api.node import Node
from api.permit import ThePermit
from api.problems import Problem, invalid
from contracts.errors import InvalidInput
from contracts.reading_json import parse_time

MAX_SPAN_MS: Final = 31 * 24 * 3_600_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that the OpenAPI document names for a route; `app.openapi` says what they look like."""
    return {status: {} for status in statuses}


def _node(request: Request) -> Node:
    node: Node = request.app.state.node
    return node


TheNode = Annotated[Node, Depends(_node)]


def _actor(
    permit: ThePermit,
    name: Annotated[
        str | None,
        Header(
            alias=ACTOR_HEADER,
            description="Name of the acting person, at most 64 printable characters, where people have no accounts. "
            "Where they have, it is whoever is logged in, and this says nothing.",
        ),
    ] = None,
) -> str:
    assert permit.actor is not None, "nobody acts without being let in"
    return permit.actor


Actor = Annotated[str, Depends(_actor)]


def _json_only(request: Request) -> None:
    """A body must say that it is JSON: a form of another site cannot."""
    headers = request.headers
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if has_body and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "not-json", "The body must be application/json.")


JSON_ONLY: Final = Depends(_json_only)
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many items.")]
Cursor = Annotated[str | None, Query(max_length=800, description="`next` of the page before.")]


def to_cursor(key: str) -> str:
    """An opaque cursor that stands for the place after `key`."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def from_cursor(cursor: str | None) -> str | None:
    """The key of a cursor; raises a problem for one that is none of ours."""
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise strange_cursor() from None


def strange_cursor() -> Problem:
    """A cursor that is none of ours."""
    return invalid("cursor", "must be the `next` of an earlier page")


def span(
    node: Node, from_: str | None, to: str | None, *, default_ms: int = HOUR_MS, longest_ms: int = MAX_SPAN_MS
) -> tuple[int, int]:
    """The span of time asked for in milliseconds; by default the hour (`default_ms`) before now, or before `to`."""
    end_ms = _time("to", to) if to is not None else node.clock.now_ms()
    start_ms = _time("from", from_) if from_ is not None else end_ms - default_ms
    if start_ms >= end_ms:
        raise invalid("from", "must be before `to`")
    if end_ms - start_ms > longest_ms:
        raise invalid("from", f"must be at most {longest_ms // DAY_MS} days before `to`")
    return start_ms, end_ms


def instant(node: Node, field: str, text: str) -> int:
    """A moment that has been."""
    ms = _time(field, text)
    if ms > node.clock.now_ms():
        raise invalid(field, "must not be in the future")
    return ms


def _time(field: str, text: str) -> int:
    try:
        return parse_time(text)
    except InvalidInput as error:
        raise invalid(field, error.reason) from None
