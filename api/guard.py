"""Around every request: who may ask, how much may be sent, and the headers that keep a browser from being abused."""

from __future__ import annotations

import time
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import Access, remember_caller
from api.problems import Problem, problem_of
from infra.runtime.metrics import Metrics

MAX_BODY_BYTES: Final = 64 * 1024

SECURITY_HEADERS: Final = {
    # No inline script or style, nothing from elsewhere, no frame around us.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


class Guard:
    """ASGI middleware. Refusals are problem documents, for a WebSocket as the answer to its handshake."""

    def __init__(self, app: ASGIApp, *, access: Access, metrics: Metrics) -> None:
        self._app = app
        self._access = access
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = self._refuse(scope)
        if refused is not None:
            await refused.response()(scope, receive, _with_headers(send))
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        answer = _Answer(_with_headers(send))
        try:
            await self._app(scope, _limited(receive), answer.send)
        except Exception as error:
            if (
                answer.started
            ):  # too late to say so: cut the connection, so that nobody takes half an answer for a whole
                raise
            await problem_of(error).response()(scope, receive, answer.send)
        finally:
            self._metrics.observe("vigil_request_seconds", time.perf_counter() - began, route=_route(scope))

    def _refuse(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host"), headers.get("origin")
        caller = self._access.caller(
            scope["client"][0] if scope.get("client") else None,
            tls=scope.get("scheme") in ("https", "wss"),
            forwarded_for=headers.get("x-forwarded-for"),
            forwarded_proto=headers.get("x-forwarded-proto"),
        )
        if isinstance(caller, str):
            return Problem(403, "not-this-machine", caller)
        remember_caller(scope, caller)
        if reason := self._access.refuses_host(host):
            return Problem(421, "wrong-host", reason)
        if scope["type"] == "websocket":
            reason = self._access.refuses_origin(origin, host)
        else:
            reason = self._access.refuses_unsafe(scope["method"], origin, headers.get("sec-fetch-site"), host)
        if reason:
            return Problem(403, "wrong-origin", reason)
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            return _too_large()
        return None


class _Answer:
    """Remembers whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def send(self, message: Message) -> None:
        self.started = True
        await self._send(message)


def _too_large() -> Problem:
    return Problem(
        413, "too-large", f"The body is larger than {MAX_BODY_BYTES} bytes.", headers={"Connection": "close"}
    )


def _limited(receive: Receive) -> Receive:
    """Count what really comes: a length need not be declared, or be true."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise _too_large()
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending


def _route(scope: Scope) -> str:
    """The route's template, never the path that was asked for: that may hold a patient's key."""
    path: str = getattr(scope.get("route"), "path", "(none)")
    return path
