"""Who may talk to the server: this machine, its own pages, and what is configured."""

from __future__ import annotations

import pytest

from api.access import Access, Caller, actor_of, check_listen_address, is_loopback
from contracts.errors import VigilError

HOST = "127.0.0.1:8600"
CONFIGURED = Access.of(["https://ward.example.org"])


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost"])
def test_loopback(address: str) -> None:
    assert is_loopback(address)
    check_listen_address(address)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "ward.local", "", "127.0.0.1.evil.org"]
)
def test_beyond_loopback_is_refused_with_the_next_step(address: str) -> None:
    assert not is_loopback(address)
    with pytest.raises(VigilError, match="VIGIL_HOST") as refused:
        check_listen_address(address)
    assert "accounts" in refused.value.message


@pytest.mark.parametrize("host", ["127.0.0.1:8600", "localhost:8600", "localhost", "[::1]:8600", "ward.example.org"])
def test_hosts_that_name_this_server(host: str) -> None:
    assert CONFIGURED.refuses_host(host) is None


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.org", "evil.org:8600", "127.0.0.1.evil.org", "localhost.evil.org", "10.0.0.1", "user@localhost",
     "localhost/x", "[::1", "[::1].evil.org", "[::1].evil.org:8600", "localhost:99999", "other.example.org"],
)  # fmt: skip
def test_hosts_that_do_not(host: str | None) -> None:
    assert CONFIGURED.refuses_host(host) is not None


@pytest.mark.parametrize(
    "origin",
    [None, "http://127.0.0.1:8600", "http://localhost:5173", "http://[::1]:8600", "https://localhost",
     "https://ward.example.org"],
)  # fmt: skip
def test_origins_that_may(origin: str | None) -> None:
    assert CONFIGURED.refuses_origin(origin, HOST) is None


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://evil.org", "https://evil.org:8600", "http://127.0.0.1.evil.org", "http://localhost.evil.org",
     "http://evil.org#localhost", "http://localhost@evil.org", "http://evil.org/localhost", "file://localhost",
     "chrome-extension://localhost", "http://ward.example.org", "https://ward.example.org.evil.org",
     "https://ward.example.org:444", "https://x.ward.example.org", "HTTP://EVIL.ORG", "http://", "localhost", "//localhost",
     "http://[::1", "http://[::1].evil.org", "http://127.0.0.1:8600\t.evil.org", "http://localhost\\@evil.org", "http://0.0.0.0:8600",
     "http://2130706433"],
)  # fmt: skip
def test_origins_that_may_not(origin: str) -> None:
    assert CONFIGURED.refuses_origin(origin, HOST) is not None


@pytest.mark.parametrize(
    ("method", "origin", "site", "refused"),
    [
        ("GET", "http://evil.org", "cross-site", False),  # reading is harmless: no answer reaches that page
        ("POST", None, None, False),  # a program
        ("POST", "http://127.0.0.1:8600", "same-origin", False),
        ("POST", "http://evil.org", "cross-site", True),
        ("POST", None, "cross-site", True),
        ("POST", "null", "cross-site", True),
        ("POST", "http://evil.org", None, True),  # a browser without fetch metadata
        ("POST", "https://ward.example.org", "cross-site", False),
        ("DELETE", "http://evil.org", "same-site", True),
    ],
)
def test_changes_come_from_our_own_pages(method: str, origin: str | None, site: str | None, refused: bool) -> None:
    assert (CONFIGURED.refuses_unsafe(method, origin, site, HOST) is not None) is refused


@pytest.mark.parametrize(
    "origin", ["ward.example.org", "https://ward.example.org/", "ftp://x", "https://", "*", "null"]
)
def test_what_is_configured_must_be_an_origin(origin: str) -> None:
    with pytest.raises(VigilError, match="origin"):
        Access.of([origin])


@pytest.mark.parametrize(
    ("header", "demo", "actor"),
    [
        (None, True, "demo nurse"),
        (None, False, "local user"),
        ("Nurse Joy", True, "Nurse Joy"),
        ("  Nurse Joy ", False, "Nurse Joy"),
        ("", True, None),
        ("x" * 64, True, "x" * 64),
        ("x" * 65, True, None),
        ("a\x1b[31m", True, None),
    ],
)
def test_actor(header: str | None, demo: bool, actor: str | None) -> None:
    assert actor_of(header, demo=demo) == actor


TLS = {"tls": True}
PLAIN = {"tls": False}
BEHIND = Access.of([], ["10.0.0.5", "127.0.0.1"])


@pytest.mark.parametrize(
    ("access", "peer", "how", "address", "secure"),
    [
        (CONFIGURED, "127.0.0.1", PLAIN, "127.0.0.1", False),
        (CONFIGURED, None, PLAIN, None, False),  # a Unix socket
        (CONFIGURED, "10.0.0.9", TLS, "10.0.0.9", True),
        (BEHIND, "10.0.0.5", {"forwarded_for": "10.9.9.9", "forwarded_proto": "https"}, "10.9.9.9", True),
        (BEHIND, "10.0.0.5", {"forwarded_for": "1.1.1.1, 10.9.9.9", "forwarded_proto": "https"}, "10.9.9.9", True),
        (BEHIND, "127.0.0.1", {"forwarded_for": "10.9.9.9", "forwarded_proto": "https"}, "10.9.9.9", True),
        (BEHIND, "127.0.0.1", PLAIN, "127.0.0.1", False),  # a program of the proxy's machine
    ],
)
def test_who_is_let_to_the_door(
    access: Access, peer: str | None, how: dict[str, object], address: str | None, secure: bool
) -> None:
    assert access.caller(peer, **{"tls": False, **how}) == Caller(address=address, secure=secure)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("access", "peer", "how"),
    [
        (CONFIGURED, "10.0.0.9", PLAIN),  # plain text beyond this machine
        (BEHIND, "10.0.0.5", PLAIN),  # a proxy that does not say for whom
        (BEHIND, "10.0.0.5", {"forwarded_for": "10.9.9.9"}),
        (BEHIND, "10.0.0.5", {"forwarded_for": "10.9.9.9", "forwarded_proto": "http"}),
        (BEHIND, "10.0.0.5", {"forwarded_for": "somebody", "forwarded_proto": "https"}),
        (BEHIND, "10.0.0.6", {"forwarded_for": "127.0.0.1", "forwarded_proto": "https"}),  # says that it is a proxy
        (CONFIGURED, "127.0.0.1", {"forwarded_for": "10.9.9.9", "forwarded_proto": "https"}),  # one that nobody has named
        (CONFIGURED, "10.0.0.9", {"tls": True, "forwarded_for": "127.0.0.1", "forwarded_proto": "https"}),
    ],
)
def test_plain_text_and_strange_proxies_are_refused(access: Access, peer: str, how: dict[str, object]) -> None:
    assert isinstance(access.caller(peer, **{"tls": False, **how}), str)  # type: ignore[arg-type]


def test_a_proxy_is_an_address() -> None:
    with pytest.raises(VigilError, match="proxy"):
        Access.of([], ["proxy.example.org"])


def test_beyond_loopback_with_tls_and_a_name() -> None:
    check_listen_address("0.0.0.0", encrypted=True, page_url="https://ward.example.org")
    with pytest.raises(VigilError, match="VIGIL_PAGE_URL"):
        check_listen_address("0.0.0.0", encrypted=True)
