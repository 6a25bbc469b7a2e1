"""What headers say about a body, and which pages may send one."""

import pytest

from producers.gateway.media import Body, body_of, headers_of
from producers.gateway.origins import is_loopback, origin_allowed
from producers.gateway.problems import Problem

READ_AS = {
    (None, None): ("json", False),
    ("application/json", None): ("json", False),
    ("Application/JSON ; Charset=UTF-8", None): ("json", False),
    ('application/json; charset="utf8"', "identity"): ("json", False),
    ("application/x-ndjson", "gzip"): ("ndjson", True),
    ("application/json", " GZIP "): ("json", True),
    ("application/json", "x-gzip"): ("json", True),
    ("application/vnd.apache.arrow.stream", None): ("arrow", False),
}


@pytest.mark.parametrize("headers", READ_AS)
def test_known_bodies(headers: tuple[str | None, str | None]) -> None:
    found = headers_of(
        [
            *([(b"content-type", headers[0].encode())] if headers[0] else []),
            *([(b"content-encoding", headers[1].encode())] if headers[1] else []),
        ]
    )
    media, gzip = READ_AS[headers]
    assert body_of(found) == Body(media=media, gzip=gzip)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content_type", "encoding", "kind"),
    [
        ("text/plain", None, "unsupported-type"),
        ("application/x-www-form-urlencoded", None, "unsupported-type"),
        ("multipart/form-data", None, "unsupported-type"),
        ("application/json; charset=latin-1", None, "unsupported-type"),
        ("application/json5", None, "unsupported-type"),
        ("", None, "unsupported-type"),
        ("application/json", "br", "unsupported-encoding"),
        ("application/json", "gzip, gzip", "unsupported-encoding"),
        ("application/json", "deflate", "unsupported-encoding"),
    ],
)
def test_unknown_bodies(content_type: str, encoding: str | None, kind: str) -> None:
    raw = [(b"content-type", content_type.encode())]
    if encoding:
        raw.append((b"content-encoding", encoding.encode()))
    found = body_of(headers_of(raw))
    assert isinstance(found, Problem)
    assert (found.status, found.kind) == (415, kind)


@pytest.mark.parametrize(("sent", "length"), [(b"12", 12), (b"0", 0), (b"-1", None), (b"1e3", None), (b"", None)])
def test_lengths(sent: bytes, length: int | None) -> None:
    assert headers_of([(b"content-length", sent)]).length == length


ORIGINS = {
    (None, "127.0.0.1:8601"): True,  # a device
    ("http://localhost:8600", "127.0.0.1:8601"): True,
    ("http://127.0.0.1:8600", "localhost:8601"): True,
    ("http://[::1]:8600", "[::1]:8601"): True,
    ("http://vigil.localhost", "127.0.0.1:8601"): True,
    ("http://192.0.2.7:8601", "192.0.2.7:8601"): True,
    ("https://192.0.2.7", "192.0.2.7:443"): True,
    ("https://192.0.2.7", "192.0.2.7"): True,
    ("http://192.0.2.7", "192.0.2.7:8601"): False,
    ("http://192.0.2.8:8601", "192.0.2.7:8601"): False,
    ("http://192.0.2.7:8601", None): False,
    ("https://evil.example", "127.0.0.1:8601"): False,
    ("http://evil.example:8601", "evil.example:8601"): False,  # a name that its owner lets point to this machine
    ("http://localhost.evil.example", "127.0.0.1:8601"): False,
    ("http://127.0.0.1.evil.example", "127.0.0.1:8601"): False,
    ("http://evil.example#localhost", "127.0.0.1:8601"): False,
    ("http://localhost@evil.example", "127.0.0.1:8601"): False,
    ("null", "127.0.0.1:8601"): False,
    ("", "127.0.0.1:8601"): False,
    ("file://localhost", "127.0.0.1:8601"): False,
    ("chrome-extension://abc", "127.0.0.1:8601"): False,
    ("http://[::1", "127.0.0.1:8601"): False,
    ("http://192.0.2.7:99999", "192.0.2.7:99999"): False,
    ("http://192.0.2.7:80", "192.0.2.7:x"): False,
    ("http://2130706433", "2130706433"): False,
}


@pytest.mark.parametrize("case", ORIGINS)
def test_origins(case: tuple[str | None, str | None]) -> None:
    assert origin_allowed(*case) is ORIGINS[case]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.7", False),
        ("example.org", False),
        ("localhost.example.org", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
