"""The series store from the event loop: questions in threads of its own, each with its own connection to the store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from contracts.errors import Fatal, InvalidInput, Retryable, VigilError
from infra.runtime.series import SeriesStore
from infra.runtime.series_stores import open_series
from infra.runtime.settings import Settings

ANSWER_S: Final = 10.0
_THREADS: Final = 2  # a query is mostly CPU: more threads would only keep the live feed waiting

T = TypeVar("T")


class History:
    """Answers `ask(store)`. Raises `Retryable` while the store does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="history")
        self._mine = threading.local()
        self._opened: list[SeriesStore] = []

    async def ask(self, ask: Callable[[SeriesStore], T]) -> T:
        """The answer, in time or not at all."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: ask(self._store()))
        except TimeoutError as error:
            raise Retryable("The series store did not answer in time.", after_s=2.0) from error

    def _store(self) -> SeriesStore:
        store: SeriesStore | None = getattr(self._mine, "store", None)
        if store is None:
            try:
                store = open_series(self._settings, read_only=True)
            except (Retryable, Fatal, InvalidInput):
                raise
            except VigilError as error:
                raise Retryable(error.message, after_s=5.0, cause=error.cause, fix=error.fix) from error
            self._mine.store = store
            self._opened.append(store)
        return store

    def close(self) -> None:
        """Wait for questions under way, and close the connections."""
        self._executor.shutdown(cancel_futures=True)
        for store in self._opened:
            store.close()
