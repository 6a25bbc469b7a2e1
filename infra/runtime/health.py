"""Health and metrics of a process over HTTP: /health/live, /health/ready and /metrics, in a thread of its own.

Live: the process is not stuck. Ready: it takes part; while it rebuilds its state it says `warming`.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from contracts.errors import VigilError
from infra.runtime.metrics import EXPOSITION_TYPE, Metrics

STUCK_AFTER_S: Final = 30.0


class Health:
    """What a process says of itself. Written by the process, read by the server's thread; single fields only."""

    def __init__(self) -> None:
        self.state = "starting"
        self._takes_part = False
        self._checks: dict[str, bool] = {}
        self._beat = time.monotonic()

    @property
    def ready(self) -> bool:
        """Whether the process takes part and every dependency it named answers."""
        return self._takes_part and all(self.checks.values())

    @property
    def checks(self) -> dict[str, bool]:
        """Dependencies by name, and whether they answered last."""
        return dict(self._checks)

    def check(self, name: str, ok: bool) -> None:
        """A dependency answered, or did not."""
        self._checks[name] = ok

    def beat(self) -> None:
        """The main loop goes round."""
        self._beat = time.monotonic()

    def alive(self) -> bool:
        """Whether the main loop went round lately."""
        return time.monotonic() - self._beat < STUCK_AFTER_S

    def say(self, state: str, *, ready: bool) -> None:
        """Name the state (`warming`, `running`, ...) and whether the process takes part in it."""
        self.state, self._takes_part = state, ready


class HealthServer:
    """Serves `health` and `metrics` on `host:port` until closed."""

    def __init__(self, health: Health, metrics: Metrics, *, host: str, port: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = 5.0  # a probe that hangs must not keep a thread

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/health/live":
                    alive = health.alive()
                    self._answer(200 if alive else 503, {"live": alive})
                elif path == "/health/ready":
                    ready = health.ready
                    self._answer(200 if ready else 503, {"ready": ready, "state": health.state, "checks": health.checks})
                elif path == "/metrics":
                    self._send(200, metrics.exposition(), EXPOSITION_TYPE)
                else:
                    self._answer(404, {"title": "not found", "status": 404})

            def _answer(self, status: int, document: dict[str, object]) -> None:
                self._send(status, json.dumps(document).encode(), "application/json")

            def _send(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes come every few seconds: not an event."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise VigilError(
                f"Port {port} for health and metrics cannot be opened.",
                cause="another process listens there",
                fix="stop it, or set VIGIL_METRICS_PORT",
            ) from error
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.5,), name="health", daemon=True).start()

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
