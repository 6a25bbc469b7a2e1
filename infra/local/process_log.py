"""The log file of a supervised process: appended to, bounded in size."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLog:
    """A file that a child writes to by itself. At `max_bytes` it is copied to `NAME.1` (older ones to `NAME.2` …)
    and emptied in place: the child keeps its open file, and no pipe stands between it and the disk."""

    path: Path
    max_bytes: int = 10 * 1024 * 1024
    keep: int = 2

    def open(self) -> IO[bytes]:
        """Open for appending, as a child's output."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, "wb")

    def size(self) -> int:
        """Bytes written since the last rotation."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def rotate_if_full(self) -> bool:
        """Rotate when the bound has been reached; says whether it did."""
        if self.size() < self.max_bytes:
            return False
        for number in range(self.keep, 1, -1):
            older = self._numbered(number - 1)
            if older.exists():
                os.replace(older, self._numbered(number))
        if self.keep > 0:
            shutil.copyfile(self.path, self._numbered(1))
        os.truncate(self.path, 0)
        return True

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def read_tail(path: Path, *, since: int = 0, limit: int = 64 * 1024) -> list[str]:
    """Non-empty lines of the last `limit` bytes of a file, none of them before byte `since`.

    A file shorter than `since` has been emptied meanwhile and is read from its beginning.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(since if since <= size else 0, size - limit))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()]
