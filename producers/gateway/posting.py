"""`POST /v1/readings`: a body in, one answer out. Plain ASGI: the way of a single reading is the busiest of all."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Receive, Scope, Send

from infra.runtime.clock import Clock
from infra.runtime.metrics import Metrics
from producers.gateway.batching import Batcher
from producers.gateway.limits import MAX_BODY_BYTES
from producers.gateway.media import Body, Headers, body_of, headers_of
from producers.gateway.origins import origin_allowed
from producers.gateway.problems import MEDIA_TYPE, Problem, busy, too_large

CHUNK_TIMEOUT_S: Final = 10.0
BODY_TIMEOUT_S: Final = 60.0
# Bodies that are still arriving, all together. A body that came whole does not count.
MAX_ARRIVING_BYTES: Final = 48 * 1024 * 1024
# After refusing a body that is still coming, read and drop this much, so that the sender gets to see the answer.
_LINGER_S: Final = 1.0
_LINGER_BYTES: Final = 64 * 1024 * 1024

PATH: Final = "/v1/readings"
_JSON_TYPE: Final = (b"content-type", b"application/json")
_PROBLEM_TYPE: Final = (b"content-type", MEDIA_TYPE.encode())
_CLOSE: Final = (b"connection", b"close")
_FOREIGN: Final = Problem(status=403, kind="foreign-page", detail="Pages of other sites may not send readings.")
_METHOD: Final = Problem(status=405, kind="method-not-allowed", detail="Send readings with POST.")
_SLOW: Final = Problem(status=408, kind="too-slow", detail="The body did not arrive in time.")


class _Refused(Exception):
    """The body cannot be taken. `closing`: what is still to come of it may be more than the server would skip."""

    def __init__(self, problem: Problem, *, closing: bool = False) -> None:
        super().__init__(problem.kind)
        self.problem = problem
        self.closing = closing


class _Gone(Exception):
    """The sender hung up."""


class ReadingsEndpoint:
    """The ASGI application of this one path."""

    def __init__(self, batcher: Batcher, metrics: Metrics, clock: Clock) -> None:
        self._batcher = batcher
        self._metrics = metrics
        self._clock = clock
        self._arriving = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = self._clock.monotonic_s()
        headers = headers_of(scope["headers"])
        try:
            body = self._admit(scope["method"], headers)
            payload = await self._body(receive)
        except _Refused as refused:
            await _refuse(receive, send, refused)
        except _Gone:
            return
        else:
            outcome = await self._batcher.submit(payload, body.media, gzip=body.gzip)
            if isinstance(outcome, Problem):
                await send_problem(send, outcome)
            else:
                await _send(send, 200, outcome.body(), [_JSON_TYPE])
        self._metrics.observe("vigil_request_seconds", self._clock.monotonic_s() - began, route=PATH)

    def _admit(self, method: str, headers: Headers) -> Body:
        """Everything that can be said before a byte of the body was read."""
        length = headers.length
        if length is not None and length > MAX_BODY_BYTES:
            raise _Refused(too_large(MAX_BODY_BYTES), closing=True)
        body = body_of(headers)
        problem: Problem | None = None
        if method != "POST":
            problem = _METHOD
        elif not origin_allowed(headers.origin, headers.host):
            problem = _FOREIGN
        elif isinstance(body, Problem):
            problem = body
        else:
            problem = self._batcher.refusal(length or 0)
            if problem is None:
                return body
        raise _Refused(problem, closing=length is None)

    async def _body(self, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(CHUNK_TIMEOUT_S):
                message = await receive()
            if message["type"] != "http.request":
                raise _Gone
            if not message.get("more_body", False):
                payload: bytes = message["body"]
                if len(payload) > MAX_BODY_BYTES:
                    raise _Refused(too_large(MAX_BODY_BYTES), closing=False)
                return payload
            async with asyncio.timeout(BODY_TIMEOUT_S):
                return await self._rest(receive, message["body"])
        except TimeoutError:
            raise _Refused(_SLOW, closing=True) from None

    async def _rest(self, receive: Receive, first: bytes) -> bytes:
        chunks, size = [first], len(first)
        self._arriving += size
        try:
            while True:
                async with asyncio.timeout(CHUNK_TIMEOUT_S):
                    message = await receive()
                if message["type"] != "http.request":
                    raise _Gone
                chunk = message["body"]
                chunks.append(chunk)
                size += len(chunk)
                self._arriving += len(chunk)
                more = message.get("more_body", False)
                if size > MAX_BODY_BYTES:
                    raise _Refused(too_large(MAX_BODY_BYTES), closing=more)
                if self._arriving > MAX_ARRIVING_BYTES:
                    raise _Refused(busy(2), closing=more)
                if not more:
                    return b"".join(chunks)
        finally:
            # A refusal keeps this frame until its answer is out: not the body with it.
            chunks.clear()
            self._arriving -= size


async def _refuse(receive: Receive, send: Send, refused: _Refused) -> None:
    """Answer at once. While the sender is still sending, wait a moment before closing: a connection that is closed on
    unread data takes the answer with it."""
    if not refused.closing:
        await send_problem(send, refused.problem)
        return
    await send_problem(send, refused.problem, closing=True)
    dropped = 0
    try:
        async with asyncio.timeout(_LINGER_S):
            while dropped < _LINGER_BYTES:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    break
                dropped += len(message["body"])
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def send_problem(send: Send, problem: Problem, *, closing: bool = False) -> None:
    headers = [_PROBLEM_TYPE]
    if problem.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % problem.retry_after_s))
    if problem.status == 405:
        headers.append((b"allow", b"POST"))
    if problem.status == 415:
        headers.append((b"accept-encoding", b"gzip"))
    if closing:
        headers.append(_CLOSE)
    await _send(send, problem.status, problem.body(), headers, more=closing)


async def _send(
    send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]], *, more: bool = False
) -> None:
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": more})
