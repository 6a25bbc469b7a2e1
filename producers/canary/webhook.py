"""Tells one address, in a thread of its own, whatever else hangs. The newest notice counts: one that waits is replaced."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, Final

from contracts.errors import VigilError
from infra.runtime.logs import get_logger
from infra.runtime.plain_http import ask

WAITS_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_log = get_logger("producers.canary.webhook")


class Webhook:
    """`url` empty: there is nobody to tell. It may hold a secret: it is never logged."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        if url:
            threading.Thread(target=self._run, name="webhook", daemon=True).start()

    def tell(self, notice: dict[str, Any]) -> None:
        """Send this, and again for a while when it is not taken."""
        if self._url:
            self._waiting.put(notice)

    def _run(self) -> None:
        while True:
            self._deliver(self._waiting.get())

    def _deliver(self, notice: dict[str, Any]) -> None:
        for wait_s in WAITS_S:
            if not self._waiting.empty():
                return
            try:
                answer = ask(self._url, body=notice, timeout_s=5.0)
                reason = "" if answer.ok else f"status {answer.status}"
            except VigilError as error:
                reason = error.cause
            if not reason:
                _log.info("webhook told", state=notice["state"])
                return
            _log.warning("webhook not told, trying again", state=notice["state"], reason=reason)
            time.sleep(wait_s)
        _log.error("webhook was not told", state=notice["state"])
