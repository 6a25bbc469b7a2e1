"""Answers that say why not: `application/problem+json` (RFC 9457) over HTTP, `{"error": …}` over WebSocket.

Texts name fields and rules, never a value, a patient or a piece of what was sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from contracts.errors import InvalidInput, UnsupportedVersion
from producers.gateway.limits import TooMuch

MEDIA_TYPE: Final = "application/problem+json"
_TYPE: Final = "urn:vigil:problem:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Nothing of the message was taken. `kind` is stable and for programs, `detail` for people."""

    status: int
    kind: str
    detail: str
    field: str = ""
    retry_after_s: int | None = None

    def document(self) -> dict[str, Any]:
        """The problem as JSON."""
        document: dict[str, Any] = {
            "type": _TYPE + self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.field:
            document["field"] = self.field
        if self.retry_after_s is not None:
            document["retry_after"] = self.retry_after_s
        return document

    def body(self) -> bytes:
        """The body of an HTTP answer."""
        return json.dumps(self.document()).encode()

    def error(self) -> str:
        """The answer to one message of a WebSocket."""
        return json.dumps({"error": self.document()})


def away(retry_after_s: int) -> Problem:
    """Kafka does not confirm: keep the readings and send them again."""
    return Problem(
        status=503,
        kind="kafka-away",
        detail="The readings cannot be stored at the moment. Keep them and send them again, oldest first.",
        retry_after_s=retry_after_s,
    )


def busy(retry_after_s: int) -> Problem:
    """More is under way than may be."""
    return Problem(
        status=503,
        kind="busy",
        detail="Too much is waiting to be stored. Keep the readings and send them again.",
        retry_after_s=retry_after_s,
    )


def stopping(retry_after_s: int) -> Problem:
    """This gateway is about to end."""
    return Problem(
        status=503,
        kind="stopping",
        detail="This gateway is stopping. Keep the readings and send them again.",
        retry_after_s=retry_after_s,
    )


def failed() -> Problem:
    """A defect of ours."""
    return Problem(
        status=500, kind="internal-error", detail="The gateway failed on this message; its log names the kind of error."
    )


def too_large(limit_bytes: int, what: str = "The body") -> Problem:
    """Larger than one request may be."""
    return Problem(
        status=413, kind="too-large", detail=f"{what} is larger than {limit_bytes} bytes; send smaller batches."
    )


def unreadable(error: InvalidInput) -> Problem:
    """A payload of which nothing could be read: 400 when it is broken, 413 when it is too much, 422 when it is well
    formed and says the wrong thing."""
    detail = f"{error.field}: {error.reason}"
    match error:
        case TooMuch():
            return Problem(status=413, kind="too-large", detail=detail, field=error.field)
        case UnsupportedVersion():
            return Problem(status=422, kind="unsupported-version", detail=detail, field=error.field)
    if error.field == "payload":
        return Problem(status=400, kind="unreadable", detail=detail, field=error.field)
    return Problem(status=422, kind="not-readings", detail=detail, field=error.field)
