"""A lock between processes, held by an open file. The operating system frees it when the last holder dies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FileLock:
    """An exclusive lock on a file; the file's text says who holds it.

    `descriptor` may be handed to a child: the lock is then held until both processes are gone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The open file behind the lock. Only while it is held."""
        if self._descriptor is None:
            raise RuntimeError(f"{self.path} is not locked")
        return self._descriptor

    def acquire(
        self, *, timeout_s: float, note: str = "", on_wait: Callable[[], None] | None = None, poll_s: float = 0.05
    ) -> bool:
        """Take the lock, waiting up to `timeout_s`; `note` becomes the file's text. Says whether it was taken.

        `on_wait` is called once if somebody else holds the lock.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + timeout_s
        waited = False
        try:
            while not _try_lock(descriptor):
                if on_wait is not None and not waited:
                    on_wait()
                waited = True
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    return False
                time.sleep(poll_s)
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.write(descriptor, note.encode())
        self._descriptor = descriptor
        return True

    def note(self) -> str:
        """What the holder wrote, or an empty string."""
        try:
            return self.path.read_text()
        except OSError:
            return ""

    def release(self) -> None:
        """Give our hold up. A child that was given the descriptor keeps its own."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
