"""Ask a process on this machine whether it is ready."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from contracts.errors import VigilError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """`ok`: it answered that it is ready. `answered`: it answered at all, so it is alive."""

    ok: bool
    answered: bool
    reason: str


def check_url(url: str) -> None:
    """Raise `VigilError` for an address that `probe` could never ask."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "tcp") or not parts.hostname or parts.port is None:
        raise VigilError(
            f"{url!r} is not an address to ask for readiness.", fix="use http://HOST:PORT/PATH or tcp://HOST:PORT"
        )


def probe(url: str, timeout_s: float = 1.0) -> ProbeResult:
    """`http://…`: ready when the answer's status is 2xx. `tcp://host:port`: ready when it accepts a connection.

    No proxy is used, whatever the environment says.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    try:
        if parts.scheme == "tcp":
            with socket.create_connection((host, port), timeout_s):
                return ProbeResult(ok=True, answered=True, reason="")
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers={"Connection": "close"})
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        return ProbeResult(ok=False, answered=False, reason=f"{type(error).__name__}: {error}")
    ok = 200 <= status < 300
    return ProbeResult(ok=ok, answered=True, reason="" if ok else f"HTTP status {status}")
