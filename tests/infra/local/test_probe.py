import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from contracts.errors import VigilError
from infra.local.ports import free_port
from infra.local.probe import check_url, probe


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/ready?full=1": 200, "/warming": 503, "/moved": 302}.get(self.path, 404))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Health) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "ok", "reason"),
    [
        ("/ready?full=1", True, ""),
        ("/warming", False, "HTTP status 503"),
        ("/moved", False, "HTTP status 302"),
        ("/nothing", False, "HTTP status 404"),
    ],
)
def test_http(server: str, path: str, ok: bool, reason: str) -> None:
    result = probe(f"http://{server}{path}")
    assert (result.ok, result.answered, result.reason) == (ok, True, reason)


def test_proxy_of_the_environment_is_not_used(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert probe(f"http://{server}/ready?full=1").ok


def test_tcp(server: str) -> None:
    assert probe(f"tcp://{server}").ok
    refused = probe(f"tcp://127.0.0.1:{free_port()}")
    assert not refused.ok
    assert not refused.answered
    assert "refused" in refused.reason.lower()


def test_nobody_there() -> None:
    result = probe(f"http://127.0.0.1:{free_port()}/ready")
    assert (result.ok, result.answered) == (False, False)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:1/", "127.0.0.1:80", "http://127.0.0.1/ready", "tcp://:80", ""])
def test_address_that_cannot_be_asked(url: str) -> None:
    with pytest.raises(VigilError, match="not an address"):
        check_url(url)
