"""Errors as `application/problem+json` (RFC 9457). The text says what failed and what to do; never a value that was sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.schema import FieldError, ProblemDocument
from contracts.errors import InvalidInput, Retryable
from infra.runtime.logs import get_logger

MEDIA_TYPE: Final = "application/problem+json"
_TYPE: Final = "urn:vigil:problem:"
_log = get_logger("api.problems")

# What to do about each kind of problem. A test finds every kind that the code can answer with and looks for it here.
FIXES: Final[Mapping[str, str]] = {
    "alarm-changed": "Get the alarm again, and send If-Match with the ETag of its answer.",
    "away": "Send the same request again after the seconds of Retry-After; an Idempotency-Key makes that safe.",
    "first-run": "Make the first account on the machine itself: vigil users add NAME --role administrator.",
    "full": "Tell whoever runs Vigil: the numbers of observations are used up.",
    "idempotency-key-reused": "Take a new Idempotency-Key for every request that is not a retry of the same one.",
    "internal-error": "Report it with the time of day; the log of this server names the kind of error.",
    "invalid-json": "Send one JSON document in UTF-8.",
    "invalid-request": "Change the fields named in `errors`; /openapi.json says what each of them takes.",
    "log-in": "POST /api/v1/session with a name and a password, or send the header Authorization: Bearer TOKEN.",
    "method-not-allowed": "Use one of the methods of the answer's Allow header.",
    "no-accounts": "Go on without a session; `vigil users add` makes the first account.",
    "no-care-team": "Ask an administrator: vigil teams add TEAM NAME puts an account into a care team.",
    "no-rules": "Start the server with `vigil up` or `vigil run api`.",
    "not-found": "Look for its id in the list of such things; /openapi.json names every address.",
    "not-json": "Send the header Content-Type: application/json.",
    "not-permitted": "Ask an administrator; docs/access.md says what each role may do.",
    "not-possible-now": "Get the alarm again: its state says what can be done with it.",
    "not-set-up": "Ask whoever runs Vigil: docs/notifiers.md says how it is set up.",
    "not-this-machine": "Ask from the machine that the server runs on, for example through an SSH tunnel.",
    "refused": "See /openapi.json for what this address takes.",
    "rules-changed": "Get the limits again, and send If-Match with the ETag of their answer.",
    "subprotocol": "Offer the subprotocol in Sec-WebSocket-Protocol; docs/live-feed.md describes it.",
    "too-large": "Send less in one request.",
    "too-many-attempts": "Try again after the seconds of Retry-After.",
    "wrong-host": "Use the address that the server was told to listen on.",
    "wrong-login": "Check name and password; an administrator sets a new password with vigil users reset NAME.",
    "wrong-origin": "Open the page from this server, or name the page's origin in the setting `origins`.",
}


class Problem(Exception):
    """An answer that says why not. `kind` is stable and for programs, `detail` is for people."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: list[FieldError] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The HTTP answer."""
        document = ProblemDocument(
            type=_TYPE + self.kind,
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            fix=FIXES.get(self.kind),
            errors=self.errors,
        )
        return Response(
            document.model_dump_json(exclude_none=True),
            status_code=self.status,
            headers={"Cache-Control": "no-store", **self.headers},
            media_type=MEDIA_TYPE,
        )


def not_found(what: str) -> Problem:
    """404 for a thing that is not there."""
    return Problem(404, "not-found", f"There is no such {what}.")


def away(error: Retryable) -> Problem:
    """503 for a dependency that does not answer. Which one, and where it is, is for our log."""
    _log.warning("dependency away", what=error.message, cause=error.cause)
    return Problem(
        503,
        "away",
        "A store that this answer needs does not respond at the moment. Nothing was changed; try again shortly.",
        headers={"Retry-After": str(max(1, math.ceil(error.after_s)))},
    )


def invalid(field: str, reason: str) -> Problem:
    """422 for one part of a request that is not valid."""
    return Problem(422, "invalid-request", f"{field}: {reason}", errors=[FieldError(field=field, reason=reason)])


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""

    async def problem(_: Request, error: Exception) -> Response:
        return problem_of(error).response()

    for kind in (Problem, Retryable, InvalidInput, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, problem)


def problem_of(error: Exception) -> Problem:
    """What a caller is told about any error; one that nobody expected is logged by its kind alone."""
    match error:
        case Problem():
            return error
        case Retryable():
            return away(error)
        case InvalidInput():
            return invalid(error.field, error.reason)
        case RequestValidationError():
            return _validation(error)
        case HTTPException():
            return _http(error)
    _log.error("request failed", error=type(error).__name__)
    return Problem(500, "internal-error", "The server failed on this request; its log names the kind of error.")


def _validation(error: RequestValidationError) -> Problem:
    """pydantic's errors without the input they quote: it may hold anything."""
    errors = [FieldError(field=place(e["loc"]), reason=str(e["msg"])) for e in error.errors()]
    if any(e["type"] == "json_invalid" for e in error.errors()):
        return Problem(400, "invalid-json", "The body is not valid JSON.")
    first = errors[0]
    return Problem(422, "invalid-request", f"{first.field}: {first.reason}", errors=errors)


def place(loc: tuple[Any, ...]) -> str:
    """Where the error is, without what leads to it ("body", "query", the kind of a message); a foreign field's own name is not
    repeated."""
    parts = [str(p) for p in loc[1:]] or [str(loc[0])]
    return ".".join(p if (p.isidentifier() or p.isdecimal()) and len(p) <= 40 else "?" for p in parts)


def _http(error: HTTPException) -> Problem:
    if isinstance(error.__cause__, Problem):  # raised while FastAPI read the body
        return error.__cause__
    headers = dict(error.headers or {})
    match error.status_code:
        case 404:
            return Problem(404, "not-found", "There is nothing at this address; /openapi.json lists what there is.")
        case 405:
            allowed = headers.get("Allow") or headers.get("allow") or "other methods"
            return Problem(405, "method-not-allowed", f"This address answers {allowed} only.", headers=headers)
    return Problem(error.status_code, "refused", str(error.detail), headers=headers)
