"""The whole pipeline dies, or a part of it: T-34. A process that uses none of it must say so within 30 s.

What the page does by itself when its server or the server's data stops is in tests/browser and api/web/test.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from infra.local.kafka import LocalKafka
from infra.local.ports import free_port
from tests.faults.harness.deployment import Deployment, deployed
from tests.faults.harness.rows import record
from tests.rooms import ALL_ROOMS

BAR_S = 30.0


class Site:
    """Every room, the canary, and somebody whom its webhook tells."""

    def __init__(self, rooms: Deployment, told: list[dict[str, Any]]) -> None:
        self.rooms, self.told = rooms, told

    def start(self) -> None:
        for room in ALL_ROOMS:
            self.rooms.start(room)
        self.rooms.start_canary()
        self.until("ok", 120)

    def said(self) -> str:
        """What the canary says of itself, whether or not that is ready."""
        return str(document(f"{self.rooms.settings.canary_url}/health/ready")["state"])

    def shown(self) -> str | None:
        """What viewers are told."""
        return document(f"{self.rooms.api_url}/api/v1/system")["canary"]  # type: ignore[no-any-return]

    def until(self, state: str, seconds: float) -> float:
        began = time.monotonic()
        self.rooms.wait(f"the canary to say {state}", lambda: _or_none(self.said) == state, seconds)
        return time.monotonic() - began


def document(url: str) -> dict[str, Any]:
    opener = urllib.request.build_opener(_Any())
    with opener.open(url, timeout=2) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


class _Any(urllib.request.HTTPErrorProcessor):
    """A status is no error: a canary that says `dead` does so with 503."""

    def http_response(self, request: object, response: Any) -> Any:
        return response


def _or_none(ask: Callable[[], str | None]) -> str | None:
    try:
        return ask()
    except OSError:
        return None


@contextmanager
def listener() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", told
        server.shutdown()


@contextmanager
def watched(kafka: str, state_dir: Path) -> Iterator[Site]:
    with listener() as (hook, told), deployed(kafka, f"canary-{time.time_ns()}-", state_dir) as rooms:
        address = {"canary_url": f"http://127.0.0.1:{free_port()}", "canary_webhook": SecretStr(hook)}
        rooms.settings = rooms.settings.model_copy(update=address)
        site = Site(rooms, told)
        site.start()
        yield site


def broken(site: Site, what: str, stop: Callable[[], object], start: Callable[[], object], *, short: bool) -> None:
    """Break it, wait for the alarm, mend it, wait for the end of the alarm."""
    notices = len(site.told)
    stop()
    detected_s = site.until("dead", 60)
    site.rooms.wait("the webhook", lambda: len(site.told) > notices, 15)
    assert site.told[-1]["state"] == "dead"
    if what != "api":
        site.rooms.wait("viewers to be told", lambda: site.shown() == "dead", 10)
    start()
    back_s = site.until("ok", 120)
    site.rooms.wait("the end of the alarm", lambda: site.told[-1]["state"] == "ok", 15)
    record(
        f"T-34 {what}", met=detected_s <= BAR_S, short=short, detected_s=round(detected_s, 1), back_s=round(back_s, 1),
        bar=f"detection ≤ {BAR_S:g} s",
    )  # fmt: skip
    assert detected_s <= BAR_S


def test_workers_that_stop_are_an_alarm_within_thirty_seconds(kafka: str, tmp_path: Path) -> None:
    with watched(kafka, tmp_path / "rooms") as site:
        rooms = site.rooms
        broken(site, "processors", lambda: rooms.kill("processors"), lambda: rooms.start("processors"), short=True)


@pytest.mark.faults
def test_whatever_stops_is_an_alarm_within_thirty_seconds(tmp_path: Path) -> None:
    with (
        LocalKafka(data_dir=tmp_path / "kafka", port=free_port()) as broker,
        watched(broker.bootstrap_servers, tmp_path / "rooms") as site,
    ):
        rooms = site.rooms
        for room in ("processors", "inference", "alerting", "gateway", "api"):
            broken(site, room, lambda r=room: rooms.kill(r), lambda r=room: rooms.start(r), short=False)  # type: ignore[misc]
        broken(site, "broker", broker.stop, broker.start, short=False)
