"""Waiting with a bound: tests ask until something holds instead of sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil


def eventually(holds: Callable[[], bool], *, within_s: float = 10.0, what: str = "condition") -> None:
    """Return as soon as `holds()`; fail after `within_s`."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s"
        time.sleep(0.01)


def runs(pid: int) -> bool:
    """Whether a process exists and is not merely waiting to be collected by its parent."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
