"""The state folder of a running stack: held by one Vigil at a time, and emptied before a demo that starts afresh."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from cli.processes import SERIES_FILE, SQL_FILE
from contracts.errors import VigilError
from infra.local.file_lock import FileLock

_LOCK_TIMEOUT_S: Final = 2.0
# What a stack writes there, and nothing else is ever removed. SQLite keeps further files beside a database.
_FOLDERS: Final = ("kafka", "logs")
_FILES: Final = tuple(f"{name}{suffix}" for name in (SQL_FILE, SERIES_FILE) for suffix in ("", "-wal", "-shm"))


def hold(folder: Path) -> FileLock:
    """Make the folder if need be and reserve it for this process. Raises `VigilError` when another Vigil runs on it."""
    lock = FileLock(folder / "in-use.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # it holds patients' data
        taken = lock.acquire(timeout_s=_LOCK_TIMEOUT_S, note=str(os.getpid()))
    except OSError as error:
        raise VigilError(
            f"The state folder {folder} cannot be used: {error.strerror}.",
            fix="make it writable, or choose another with --state-dir or VIGIL_STATE_DIR",
        ) from error
    if not taken:
        raise VigilError(
            f"The state folder {folder} is in use by process {lock.note() or 'unknown'}.",
            cause="another Vigil runs on it",
            fix="stop that one, or choose another folder with --state-dir",
        )
    return lock


def empty(folder: Path) -> None:
    """Remove what an earlier demo left. Only for a folder that `hold` has reserved."""
    try:
        for name in _FOLDERS:
            if (folder / name).is_dir():
                shutil.rmtree(folder / name)
        for name in _FILES:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise VigilError(
            f"What an earlier demo left in {folder} cannot be removed: {error.strerror}.",
            fix="start with --keep, or choose another folder with --state-dir",
        ) from error
