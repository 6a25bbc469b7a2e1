"""Trying limits out from the event loop: one trial at a time, in a thread of its own, with a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from contracts.errors import Retryable

ANSWER_S: Final = 30.0

T = TypeVar("T")


class Trials:
    """Runs `work` of one person after the other: a day of a patient is a second or more of computing."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="trial")

    async def ask(self, work: Callable[[], T]) -> T:
        """What `work` gives, in time or not at all. What it raises is raised here."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except TimeoutError as error:
            raise Retryable("Trying the limits out took too long.", after_s=10.0) from error

    def close(self) -> None:
        """Forget trials that have not begun."""
        self._executor.shutdown(wait=False, cancel_futures=True)
