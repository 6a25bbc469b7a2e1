"""`vigil notify`: a person sees whether a channel works, and what a receiver does with a webhook is as the documentation says."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cli.main import main

DOCS = Path(__file__).parents[2] / "docs" / "notifiers.md"


class Receiver(HTTPServer):
    """Keeps what it is sent, and answers with `status`."""

    def __init__(self) -> None:
        self.status = 204
        self.taken: list[tuple[dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.taken.append((headers, self.rfile.read(int(headers["content-length"]))))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIL_STATE_DIR", str(tmp_path))


def vigil(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["notify", *arguments])
    return int(end.value.code or 0)


def made_keys(monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """The secret of webhooks, made and set."""
    assert vigil("keys") == 0
    path = folder / "keys" / "webhook.secret"
    monkeypatch.setenv("VIGIL_WEBHOOK_SECRET_FILE", str(path))
    monkeypatch.setenv("VIGIL_NOTICE_NETWORKS", "127.0.0.0/8")
    return path.read_text().strip()


def test_keys_are_made_once_for_this_user_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vigil("keys") == 0
    first, said = {p.name: p.read_text() for p in (tmp_path / "keys").iterdir()}, capsys.readouterr().out
    assert set(first) == {"web-push.key", "webhook.secret"}
    assert all(p.stat().st_mode & 0o077 == 0 for p in (tmp_path / "keys").iterdir())
    assert not any(secret.strip() in said for secret in first.values())
    assert vigil("keys") == 0
    assert {p.name: p.read_text() for p in (tmp_path / "keys").iterdir()} == first
    again = capsys.readouterr().out
    public = re.findall(r"VIGIL_WEB_PUSH_PUBLIC_KEY=(\S{87}) ", said + again)
    assert len(public) == 2
    assert public[0] == public[1]
    assert again.count("kept:") == 2


def test_a_receiver_verifies_a_webhook_as_the_documentation_says(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = made_keys(monkeypatch, tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    documented: dict[str, Any] = {}
    exec(code, documented)
    verify = documented["verify"]

    assert vigil("test", "webhook", f"http://127.0.0.1:{receiver.server_port}/hook?token=hush", "--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["status"], told["channel"]) == ("delivered", "webhook")
    ((headers, body),) = receiver.taken
    assert headers["webhook-id"] == told["notice"]
    assert json.loads(body)["type"] == "notice.test"
    assert verify(headers, body, secret)
    sent_at = int(headers["webhook-timestamp"])
    assert not verify(headers, body.replace(b"Test", b"Text"), secret)
    assert not verify(headers | {"webhook-id": "0" * 32}, body, secret)
    assert not verify(headers, body, secret, now=sent_at + 301)
    assert not verify(headers, body, "whsec_" + "A" * 32)


@pytest.mark.parametrize(
    ("status", "said"), [(503, "failed, status 503"), (404, "dead, status 404: there is nothing at this address")]
)
def test_what_went_wrong_and_what_to_do(
    tmp_path: Path,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
    said: str,
) -> None:
    made_keys(monkeypatch, tmp_path)
    receiver.status = status
    assert vigil("test", "webhook", f"http://127.0.0.1:{receiver.server_port}/hook?token=hush") == 1
    shown = capsys.readouterr()
    assert f"webhook: {said}" in shown.out
    assert "Next: " in shown.out
    assert "hush" not in shown.out + shown.err


def test_settings_are_tried_before_they_are_in_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "draft.toml"
    config.write_text('smtp_url = "http://vigil:hush@mail"\nsmtp_sender = "vigil@example.org"\n')
    assert vigil("test", "email", "mira@example.org", "--config", str(config)) == 1
    assert "VIGIL_SMTP_URL is not the address of a mail server." in capsys.readouterr().out
    config.write_text("smtp_ur = 1\n")
    assert vigil("test", "email", "mira@example.org", "--config", str(config)) == 1
    assert "did you mean smtp_url?" in capsys.readouterr().err
    config.write_text("smtp_url")
    assert vigil("test", "email", "mira@example.org", "--config", str(config)) == 1
    assert "not TOML" in capsys.readouterr().err
