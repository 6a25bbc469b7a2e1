"""Clocks, for shells only: pure code is told the time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two times that must not be mixed up."""

    def now_ms(self) -> int:
        """Wall clock, UTC, whole milliseconds. It may jump; never measure a duration with it."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment; never jumps. Only differences mean anything."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()
