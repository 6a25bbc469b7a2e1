"""Who may talk to this server, decided from the request alone. Pure.

Beyond this machine nothing is answered in plain text: this server has a certificate, or a trusted proxy has one and says so.
A web page from elsewhere must not reach the server through the person's browser: the Host header is checked against DNS
rebinding, Origin and Sec-Fetch-Site against forged requests. A program (no Origin, no Sec-Fetch-Site) has no browser to abuse.
Who is logged in, and what they may, is decided after this, in `api.permit`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
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


def check_listen_address(host: str, *, encrypted: bool = False, page_url: str = "") -> None:
    """Refuse to listen beyond loopback in plain text. `encrypted`: this server has a certificate, or a proxy before it has.
    `page_url`: where people reach the page."""
    if is_loopback(host):
        return
    if not encrypted:
        raise VigilError(
            f"The API does not listen on {host}: patients' data would go over the network in plain text, and without accounts "
            "it answers this machine only.",
            cause="The setting `host` or `api_host` names an address that other machines can reach.",
            fix="set VIGIL_HOST=127.0.0.1; or give VIGIL_TLS_CERTIFICATE and VIGIL_TLS_KEY, or VIGIL_TRUSTED_PROXIES, with "
            "VIGIL_API_HOST; or use an SSH tunnel: ssh -L 8600:127.0.0.1:8600 HOST",
        )
    if not page_url:
        raise VigilError(
            f"The API does not listen on {host} without knowing its own address.",
            cause="Requests for other names are refused, against DNS rebinding.",
            fix="set VIGIL_PAGE_URL=https://NAME, as people write it in their browsers",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """From where a request comes: the person's address (None: a Unix socket), and whether it came over TLS all the way."""

    address: str | None
    secure: bool


_CALLER: Final = "vigil.caller"


def caller_of(scope: Mapping[str, Any]) -> Caller:
    """What the guard has found out; before it, what the connection says."""
    found = scope.get(_CALLER)
    if isinstance(found, Caller):
        return found
    peer = scope.get("client")
    return Caller(address=peer[0] if peer else None, secure=scope.get("scheme") in ("https", "wss"))


def remember_caller(scope: MutableMapping[str, Any], caller: Caller) -> None:
    """For who asks `caller_of` later."""
    scope[_CALLER] = caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rule. `origins`: further origins of pages that may use the API, like "https://ward.example.org". `proxies`: addresses
    whose word is taken for whom they ask, and that they were asked over TLS."""

    origins: frozenset[str] = frozenset()
    proxies: frozenset[str] = frozenset()

    @classmethod
    def of(cls, origins: Iterable[str], proxies: Iterable[str] = ()) -> Access:
        """Raises `VigilError` for a text that is not an origin, or not an address."""
        for origin in origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("http", "https")
                or not parts.hostname
                or f"{parts.scheme}://{parts.netloc}" != origin
            ):
                raise VigilError(f"{origin!r} is not an origin.", fix="write it like https://ward.example.org")
        for proxy in proxies:
            if _address(proxy) is None:
                raise VigilError(f"{proxy!r} is not the address of a proxy.", fix="write it like 10.0.0.5, with commas")
        return cls(origins=frozenset(origins), proxies=frozenset(str(_address(p)) for p in proxies))

    def caller(
        self, peer: str | None, *, tls: bool, forwarded_for: str | None = None, forwarded_proto: str | None = None
    ) -> Caller | str:
        """From where a request comes, or why it is refused. `peer`: the address that the connection has, None for a Unix socket;
        `tls`: it is encrypted; the others are what X-Forwarded-For and X-Forwarded-Proto say."""
        if forwarded_for is not None:
            if peer is None or str(_address(peer)) not in self.proxies:
                return "A proxy asks that is not among VIGIL_TRUSTED_PROXIES."
            # The last address is the one that the proxy itself has seen; those before it are the caller's own words.
            address = _address(forwarded_for.rpartition(",")[2].strip())
            if address is None or forwarded_proto != "https":
                return "The proxy must be asked over TLS, and say so: X-Forwarded-For and X-Forwarded-Proto: https."
            return Caller(address=str(address), secure=True)
        if peer is None or is_loopback(peer):
            return Caller(address=peer, secure=tls)
        if not tls:
            return "This server answers other machines over TLS only."
        return Caller(address=peer, secure=True)

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


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


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
