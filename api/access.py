"""Who may talk to this server, decided from the request alone. Pure.

Until people have accounts the server answers this machine only. A web page from elsewhere must not reach it through the
person's browser: the Host header is checked against DNS rebinding, Origin and Sec-Fetch-Site against forged requests.
A program (no Origin, no Sec-Fetch-Site) has no browser to abuse; it is bound by the loopback rule alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from contracts.errors import VigilError

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
ACTOR_HEADER: Final = "X-Vigil-Actor"
MAX_ACTOR: Final = 64


def is_loopback(address: str) -> bool:
    """Whether `address` (a name or an IP address) is this machine's loopback."""
    if address == "localhost":
        return True
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_loopback


def check_listen_address(host: str) -> None:
    """Refuse to listen beyond loopback: nobody has to log in yet."""
    if not is_loopback(host):
        raise VigilError(
            f"The API does not listen on {host}: without accounts it answers this machine only.",
            cause="The setting `host` names an address that other machines can reach.",
            fix="set VIGIL_HOST=127.0.0.1, or reach this machine through an SSH tunnel: ssh -L 8600:127.0.0.1:8600 HOST",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rule. `origins`: further origins of pages that may use the API, like "https://ward.example.org"."""

    origins: frozenset[str] = frozenset()

    @classmethod
    def of(cls, origins: Iterable[str]) -> Access:
        """Raises `VigilError` for a text that is not an origin."""
        for origin in origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("http", "https")
                or not parts.hostname
                or f"{parts.scheme}://{parts.netloc}" != origin
            ):
                raise VigilError(f"{origin!r} is not an origin.", fix="write it like https://ward.example.org")
        return cls(origins=frozenset(origins))

    def refuses_peer(self, peer: str | None) -> str | None:
        """Why a connection from address `peer` is refused; None: it is not. A Unix socket has no address."""
        if peer is None or is_loopback(peer):
            return None
        return "This server answers its own machine only, until people have accounts."

    def refuses_host(self, host: str | None) -> str | None:
        """Why the Host header is refused."""
        name = _host_name(host or "")
        if name is not None and (is_loopback(name) or any(name == urlsplit(o).hostname for o in self.origins)):
            return None
        return "The Host header does not name this server."

    def refuses_origin(self, origin: str | None, host: str | None) -> str | None:
        """Why the Origin header is refused. It may be absent, the page of this very server, of this machine, or configured."""
        if origin is None or origin in self.origins:
            return None
        parts = _split(origin)
        if parts is not None:
            scheme, name, netloc = parts
            if scheme in ("http", "https") and (is_loopback(name) or netloc == host):
                return None
        return "Pages of this origin may not use the API."

    def refuses_unsafe(self, method: str, origin: str | None, fetch_site: str | None, host: str | None) -> str | None:
        """Why a request that changes something is refused as forged."""
        if method in SAFE_METHODS:
            return None
        if fetch_site == "cross-site" and origin not in self.origins:
            return "A page of another site may not change anything here."
        return self.refuses_origin(origin, host)


def actor_of(header: str | None, *, demo: bool) -> str | None:
    """The name of the acting person from the header, or the default; None: the header is not a name."""
    if header is None:
        return "demo nurse" if demo else "local user"
    name = header.strip()
    return name if 0 < len(name) <= MAX_ACTOR and name.isprintable() else None


def _host_name(host: str) -> str | None:
    """The name in a Host header ("name:port", "[::1]:port"), or None."""
    parts = _split(f"http://{host}") if host and not set(host) & set("/?#@\\ ") else None
    return None if parts is None else parts[1]


def _split(origin: str) -> tuple[str, str, str] | None:
    try:
        parts = urlsplit(origin)
        _ = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    beyond = parts.netloc.rpartition("]")[2] if "[" in parts.netloc else ""
    if beyond and not beyond.startswith(":"):  # "[::1].evil.org": urlsplit sees the address alone
        return None
    return parts.scheme, parts.hostname, parts.netloc
