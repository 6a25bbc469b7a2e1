"""A WebSocket client that writes down every alarm frame it is told."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Any

from api.client import AlarmChange, LiveClient
from tests.faults.harness.ledger import now_ms


class Viewer:
    """Watches everybody, in a thread of its own, until left."""

    def __init__(self, url: str) -> None:
        self._client = LiveClient(url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="viewer", daemon=True)
        self._task: asyncio.Task[None] | None = None
        self.frames: list[dict[str, Any]] = []

    def _run(self) -> None:
        self._task = self._loop.create_task(self._watch())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _watch(self) -> None:
        async for frame in self._client.frames():
            if isinstance(frame, AlarmChange):
                self.frames.append({**frame.model_dump(mode="json"), "arrived_ms": now_ms()})

    def __enter__(self) -> Viewer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10)
