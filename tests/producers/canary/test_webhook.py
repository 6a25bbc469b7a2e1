"""A real server is told, again when it did not take it, and only the newest."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from contracts.errors import Retryable, VigilError
from infra.runtime.plain_http import ask, check_address
from producers.canary import webhook
from producers.canary.webhook import Webhook


def test_it_is_told_again_until_it_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "WAITS_S", (0.0, 0.0, 0.0))
    heard: list[str] = []
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["state"])
            self.send_response(500 if len(heard) == 1 else 204)
            self.end_headers()
            if len(heard) == 2:
                done.set()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Webhook(f"http://127.0.0.1:{server.server_address[1]}/hook?key=1").tell({"state": "dead"})
        assert done.wait(10)
        server.shutdown()
    assert heard == ["dead", "dead"]


def test_nobody_to_tell_is_no_error() -> None:
    Webhook("").tell({"state": "dead"})


@pytest.mark.parametrize("url", ["", "hooks.example.org", "ftp://example.org", "http://", "http://host:port"])
def test_an_address_that_is_none_is_told_without_its_secrets(url: str) -> None:
    with pytest.raises(VigilError, match="VIGIL_CANARY_WEBHOOK is not an address") as caught:
        check_address(url, setting="VIGIL_CANARY_WEBHOOK")
    assert url not in caught.value.message or not url


def test_no_answer_is_to_be_tried_again(free_port: object) -> None:
    with pytest.raises(Retryable):
        ask(f"http://127.0.0.1:{free_port()}/", timeout_s=0.5)  # type: ignore[operator]
