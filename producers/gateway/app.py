"""The ASGI application of the gateway: readings in, health, metrics and the description of it all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from contracts.vitals import CATALOGUE
from infra.runtime.logs import get_logger
from infra.runtime.metrics import EXPOSITION_TYPE
from producers.gateway import posting, stream
from producers.gateway.gateway import Gateway
from producers.gateway.problems import MEDIA_TYPE, Problem, failed

_log = get_logger("producers.gateway.app")

_ANSWER: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["accepted", "duplicates", "rejected"],
    "properties": {
        "accepted": {"type": "integer"},
        "duplicates": {"type": "integer"},
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "field", "reason"],
                "properties": {
                    "index": {"type": "integer"},
                    "field": {"type": "string"},
                    "reason": {"type": "string"},
                },
            },
        },
    },
}
_READING: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["patient", "device", "metric", "value", "unit", "time", "boot", "seq"],
    "additionalProperties": False,
    "properties": {
        "patient": {"type": "string", "minLength": 1, "maxLength": 128},
        "device": {"type": "string", "minLength": 1, "maxLength": 128},
        "metric": {"type": "string", "enum": [vital.name for vital in CATALOGUE]},
        "value": {"type": "number"},
        "unit": {"type": "string", "description": "UCUM"},
        "time": {"type": "string", "format": "date-time"},
        "boot": {"type": "integer", "minimum": 0},
        "seq": {"type": "integer", "minimum": 0},
        "quality": {"enum": ["good", "questionable", "bad", "not_worn"]},
    },
}


class Application(FastAPI):
    """FastAPI, with the readings endpoint in front of its router: a single reading costs half as much that way."""

    def __init__(self, gateway: Gateway) -> None:
        @asynccontextmanager
        async def life(_: FastAPI) -> AsyncIterator[None]:
            gateway.start()
            try:
                yield
            finally:
                await gateway.close()

        super().__init__(title="Vigil gateway", version="1", docs_url=None, redoc_url=None, lifespan=life)
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == posting.PATH:
            await self._guarded(scope, receive, send)
        elif scope["type"] == "websocket" and scope["path"] == stream.PATH:
            await self._gateway.stream(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._gateway.readings(scope, receive, send)
        except Exception as error:  # the text of an error may hold what was sent: log its kind alone
            _log.error("request failed", error=type(error).__name__)
            await posting.send_problem(send, failed(), closing=False)

    def openapi(self) -> dict[str, Any]:
        """The description of what FastAPI serves, and of the readings endpoint."""
        if self.openapi_schema is None:
            document = super().openapi()
            document["paths"][posting.PATH] = {"post": _operation()}
        return super().openapi()


def create_app(gateway: Gateway) -> FastAPI:
    """The application of `gateway`; it starts and ends the gateway with its lifespan."""
    app = Application(gateway)

    @app.get("/health/live")
    async def live() -> JSONResponse:
        alive = gateway.health.alive()
        return JSONResponse({"live": alive}, status_code=200 if alive else 503)

    @app.get("/health/ready")
    async def ready() -> JSONResponse:
        health = gateway.health
        document = {"ready": health.ready, "state": health.state, "checks": health.checks}
        return JSONResponse(document, status_code=200 if health.ready else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(gateway.metrics.exposition(), media_type=EXPOSITION_TYPE)

    @app.exception_handler(HTTPException)
    async def problem(_: Request, error: HTTPException) -> Response:
        kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "refused")
        detail = "There is nothing at this address; /openapi.json lists what there is."
        if error.status_code != 404:
            detail = "This address does not take such a request."
        found = Problem(status=error.status_code, kind=kind, detail=detail)
        return Response(found.body(), found.status, headers=error.headers, media_type=MEDIA_TYPE)

    return app


def _operation() -> dict[str, Any]:
    batch = {
        "type": "object",
        "required": ["readings"],
        "properties": {"readings": {"type": "array", "items": _READING}},
    }
    problem = {MEDIA_TYPE: {"schema": {"type": "object"}}}
    refusals = {
        "400": "The body is broken: not JSON, cut off, not a whole Arrow stream or gzip file",
        "413": "The body, or what it unpacks to, is too large",
        "415": "Content-Type or Content-Encoding is not known",
        "422": "The body is well formed and holds no readings, or speaks another schema",
        "503": "Nothing can be stored now: keep the readings and come back after Retry-After seconds",
    }
    return {
        "summary": "Send readings",
        "description": (
            'One reading, a list, or `{"readings": [...]}`; one reading per line as NDJSON; or an Arrow stream of the '
            "schema readings/1. The body may be compressed with gzip. The answer comes when the accepted readings are "
            "durable. Send a reading again, with the same device, boot and seq, until it is answered."
        ),
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"oneOf": [_READING, {"type": "array", "items": _READING}, batch]}},
                "application/x-ndjson": {"schema": _READING},
                "application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        "responses": {
            "200": {
                "description": "What became of each reading",
                "content": {"application/json": {"schema": _ANSWER}},
            },
            **{status: {"description": text, "content": problem} for status, text in refusals.items()},
        },
    }
