"""One HTTP request, without a client library and without a proxy: for processes that watch others and share nothing with them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from contracts.errors import Retryable, VigilError

_MOST_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whatever the status."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def check_address(url: str, *, setting: str) -> None:
    """Raise `VigilError`, without the address itself, for one that could never be asked."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound:
        raise VigilError(f"{setting} is not an address.", fix="use http://HOST:PORT/PATH or https://HOST/PATH")


def ask(url: str, *, body: object = None, timeout_s: float = 2.0, headers: Mapping[str, str] | None = None) -> Answer:
    """GET, or POST `body` as JSON, with further `headers`. Raises `Retryable` when there is no answer in time; redirects are
    not followed."""
    parts = urlsplit(url)
    connection = _connection(parts, timeout_s)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        if body is None:
            connection.request("GET", path, headers={**(headers or {}), "Connection": "close"})
        else:
            said = {**(headers or {}), "Connection": "close", "Content-Type": "application/json"}
            connection.request("POST", path, body=json.dumps(body), headers=said)
        response = connection.getresponse()
        return Answer(status=response.status, body=response.read(_MOST_BYTES))
    except (OSError, http.client.HTTPException) as error:
        raise Retryable(f"{parts.hostname} does not answer.", cause=type(error).__name__) from error
    finally:
        connection.close()


def _connection(parts: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
