"""What the canary says of the stream, for people to see: asked over HTTP every two seconds.

The canary runs apart from everything and has an address only where one is set (`VIGIL_CANARY_URL`, which `vigil up` sets).
Where it should run and does not answer, nothing watches the stream, and that is said too.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Final, Literal, get_args

from contracts.errors import VigilError
from infra.runtime.logs import get_logger
from infra.runtime.plain_http import ask

Said = Literal["starting", "ok", "late", "dead"]
CanaryState = Said | Literal["unknown"] | None

POLL_S: Final = 2.0
# As long as a canary that is started with everything else may need until it answers.
SILENT_AFTER_S: Final = 20.0
_log = get_logger("api.canary")


class CanaryWatch:
    """The newest word of the canary. `state` None: there is none here; `unknown`: it should answer and does not. Pure."""

    def __init__(self, *, expected: bool, now_s: float) -> None:
        self._expected = expected
        self._said: Said = "starting"
        self._heard_s = now_s

    def heard(self, said: Said, now_s: float) -> None:
        """It answered."""
        self._said, self._heard_s = said, now_s

    def state(self, now_s: float) -> CanaryState:
        if not self._expected:
            return None
        return self._said if now_s - self._heard_s < SILENT_AFTER_S else "unknown"


class CanaryFeed:
    """Asks, on the event loop, until cancelled."""

    def __init__(self, url: str, now_s: Callable[[], float] = time.monotonic) -> None:
        self._url, self._now_s = url, now_s
        self._watch = CanaryWatch(expected=bool(url), now_s=now_s())

    @property
    def state(self) -> CanaryState:
        return self._watch.state(self._now_s())

    async def run(self) -> None:
        """Ask again and again; ends at once where there is no canary."""
        told: CanaryState = None
        while self._url:
            said = await asyncio.to_thread(_ask, self._url)
            if said is not None:
                self._watch.heard(said, self._now_s())
            if self.state != told:
                told = self.state
                (_log.error if told in ("dead", "unknown") else _log.info)("canary state changed", state=told)
            await asyncio.sleep(POLL_S)


def _ask(url: str) -> Said | None:
    try:
        return said_in(ask(f"{url}/health/ready").body)
    except VigilError:
        return None


def said_in(document: bytes) -> Said | None:
    """The state in a canary's /health/ready; None for anything that is no such document."""
    try:
        state = json.loads(document)["state"]
    except (ValueError, KeyError, TypeError):
        return None
    return state if state in get_args(Said) else None
