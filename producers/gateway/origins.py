"""Which web pages may talk to the gateway: those of this machine, and those it serves itself.

Devices send no Origin; browsers send it with every POST and WebSocket and cannot be made to leave it out. Without this
check any web page that a nurse opens could post readings to the gateway on the same machine.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def origin_allowed(origin: str | None, host: str | None) -> bool:
    """Whether a request with these headers may be served.

    The origin's host must be loopback, or the very IP address and port that were called. A name that was called is no
    proof: the page's owner can let a name of his point to this machine.
    """
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
        name = parts.hostname
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not name:
        return False
    if is_loopback(name):
        return True
    return _is_address(name) and host is not None and _same(name, port, parts.scheme, host)


def is_loopback(host: str) -> bool:
    """Whether `host` can only mean this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(name: str, port: int | None, scheme: str, host: str) -> bool:
    try:
        called = urlsplit(f"//{host}")
        called_port = called.port
    except ValueError:
        return False
    default = 443 if scheme == "https" else 80
    return called.hostname == name and (called_port or default) == (port or default)
