"""Records that our own code fails on, and how many of them are too many."""

from __future__ import annotations

import traceback
from collections import deque
from typing import Final

from contracts.errors import Fatal
from infra.runtime.records import Record

_MINUTE_S: Final = 60.0
_FRAMES: Final = 5


class TooManyFaults(Fatal):
    """Our own code fails on so many records that leaving them out would hide a broken release."""


class TooManyLetters(Fatal):
    """So much is diverted to the dead letters that something is wrong at large, and going on would hide it."""


class PerMinute:
    """Counts what happened in the last minute and raises `error` above a limit. Time is monotonic seconds."""

    def __init__(self, limit: int, error: type[Fatal], what: str, cause: str, fix: str) -> None:
        self._limit, self._error, self._what, self._cause, self._fix = limit, error, what, cause, fix
        self._seen: deque[tuple[float, int]] = deque()
        self._sum = 0

    def add(self, now_s: float, count: int = 1) -> None:
        """`count` more happened now."""
        self._seen.append((now_s, count))
        self._sum += count
        while self._seen[0][0] < now_s - _MINUTE_S:
            self._sum -= self._seen.popleft()[1]
        if self._sum > self._limit:
            raise self._error(
                f"More than {self._limit} {self._what} within a minute.", cause=self._cause, fix=self._fix
            )


class Faults:
    """Records that raised in a room. They are left out of every later replay in this process."""

    def __init__(self, limit_per_minute: int) -> None:
        self._records: set[tuple[str, int, int]] = set()
        self._rate = PerMinute(
            limit_per_minute,
            TooManyFaults,
            "records that our own code fails on",
            cause="a defect in this release",
            fix="go back to the release before it; the records are on vitals.rejected",
        )

    def add(self, record: Record, now_s: float) -> None:
        """Leave `record` out for good."""
        self._rate.add(now_s)
        self._records.add((record.topic, record.partition, record.offset))

    def without(self, records: list[Record]) -> list[Record]:
        """Those that may be stepped over."""
        if not self._records:
            return records
        return [r for r in records if (r.topic, r.partition, r.offset) not in self._records]

    def __len__(self) -> int:
        return len(self._records)


def where(error: BaseException) -> dict[str, str]:
    """What may be logged of an exception: its type and the lines it came through, not its message, which may quote a
    measured value or a whole SQL statement."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return {"error": type(error).__name__, "at": " > ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)}
