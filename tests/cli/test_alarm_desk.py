"""`vigil alarms ack|snooze|label|history|list` against an API: what is asked, what is printed, what goes wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner

from api.examples import EXAMPLES
from cli.alarms import app
from contracts.errors import VigilError

ALARM = {
    **EXAMPLES["Alarm"], "id": "a1", "text": "***SpO2 78 < 80", "acknowledged_by": "Ann", "priority": "high", "patient": "p-1",
    "acknowledged_until": "2026-03-01T10:15:00.000Z",
}  # fmt: skip
HISTORY = {**EXAMPLES["AlarmHistory"]["items"][0], "sequence": 7, "actor": "Ann", "time": "2026-03-01T10:00:00.000Z"}


class Api(BaseHTTPRequestHandler):
    """Answers as the API does, and remembers what it was asked."""

    asked: list[tuple[str, str | None, Any]]

    def do_GET(self) -> None:
        self.asked.append((self.path, None, None))
        self.answer(200, {"items": [HISTORY if "history" in self.path else ALARM], "next": None})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["X-Vigil-Actor"], body))
        if "none" in self.path:
            self.answer(404, {**EXAMPLES["ProblemDocument"], "status": 404, "detail": "There is no such alarm."})
        else:
            self.answer(200, ALARM)

    def answer(self, status: int, document: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def api() -> Iterator[str]:
    Api.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def vigil(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_what_a_person_does_is_asked_in_their_name(api: str) -> None:
    who = ("--as", "Ann", "--api", api)
    said = vigil("ack", "a1", "--reason", "on my way", *who)
    assert said == "acknowledged: ***SpO2 78 < 80; acknowledged by Ann until 10:15 UTC"
    vigil("snooze", "a/1", "--minutes", "5", "--reason", "suction", *who)
    assert json.loads(vigil("label", "a1", "false_alarm", "--json", *who)) == ALARM
    assert Api.asked == [
        ("/api/v1/alarms/a1/acknowledge", "Ann", {"reason": "on my way"}),
        ("/api/v1/alarms/a%2F1/snooze", "Ann", {"reason": "suction", "minutes": 5}),
        ("/api/v1/alarms/a1/label", "Ann", {"label": "false_alarm"}),
    ]


def test_what_there_is_can_be_read(api: str) -> None:
    assert vigil("list", "--api", api) == "a1  high   acknowledged p-1  ***SpO2 78 < 80"
    (line,) = vigil("history", "a1", "--api", api).splitlines()
    assert line.split() == [
        "7", "2026-03-01T10:00:00.000Z", "acknowledged", "active", "->", "acknowledged", "Ann", "on", "my", "way"
    ]  # fmt: skip


def test_why_not_is_said(api: str) -> None:
    with pytest.raises(VigilError, match="There is no such alarm"):
        vigil("label", "none", "artefact", "--api", api)
    with pytest.raises(VigilError, match="does not answer"):
        vigil("list", "--api", "http://127.0.0.1:9")
    with pytest.raises(VigilError, match="not the address"):
        vigil("list", "--api", "ward 7")
