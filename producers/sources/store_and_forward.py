"""Readings waiting for the gateway: a bounded queue, oldest first, and how long to wait before the next try. Pure."""

from __future__ import annotations

import email.utils
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.readings import Readings, concat

FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 10.0
LONGEST_RETRY_AFTER_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings that go out together; `due_s` is when the newest of them was measured, on the feed's own clock."""

    readings: Readings
    due_s: float


class Waiting:
    """Batches not yet acknowledged, at most `most_rows` readings. When it is full the oldest are given up and counted:
    the newest state of a patient matters most."""

    def __init__(self, most_rows: int) -> None:
        self._most_rows = most_rows
        self._batches: deque[Batch] = deque()
        self.rows = 0
        self.dropped = 0

    def __bool__(self) -> bool:
        return bool(self._batches)

    def put(self, batch: Batch) -> None:
        """Add the newest batch."""
        self._batches.append(batch)
        self.rows += len(batch.readings)
        while self.rows > self._most_rows and len(self._batches) > 1:
            self.dropped += self._forget()

    def oldest(self, most_rows: int) -> list[Batch]:
        """The oldest batches that fit into one request of about `most_rows` readings; at least one, when there is any."""
        chosen: list[Batch] = []
        rows = 0
        for batch in self._batches:
            if chosen and rows + len(batch.readings) > most_rows:
                break
            chosen.append(batch)
            rows += len(batch.readings)
        return chosen

    def done(self, batches: list[Batch]) -> None:
        """These are settled. Some may have been given up meanwhile."""
        for batch in batches:
            if self._batches and self._batches[0] is batch:
                self._forget()

    def _forget(self) -> int:
        rows = len(self._batches.popleft().readings)
        self.rows -= rows
        return rows


def joined(batches: list[Batch]) -> Readings:
    """All readings of `batches`, oldest first."""
    return concat([b.readings for b in batches])


def wait_s(tries: int, retry_after_s: float | None, rng: np.random.Generator) -> float:
    """How long to wait after `tries` failures in a row: exponential with full jitter, never less than the other side asks.

    The jitter is what keeps a thousand devices from coming back in the same instant."""
    backoff = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(tries - 1, 10))
    jittered = backoff * float(rng.uniform(0.1, 1.0))
    if retry_after_s is None:
        return jittered
    return min(retry_after_s, LONGEST_RETRY_AFTER_S) + float(rng.uniform(0.0, FIRST_WAIT_S))


def retry_after_s(header: str | None, now_s: float) -> float | None:
    """The header `Retry-After` (seconds, or a date against `now_s` of the wall clock); None when absent or nonsense.

    >>> retry_after_s("2", 0.0), retry_after_s("soon", 0.0), retry_after_s(None, 0.0)
    (2.0, None, None)
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - now_s)


def slices(readings: Readings, count: int) -> list[tuple[int, Readings]]:
    """One second of readings cut by event time into up to `count` equal parts of the second, empty ones left out: pairs of
    the end of the part in milliseconds of the second, and its rows in order of time."""
    part = (readings.time_ms % 1000) * count // 1000
    order = np.argsort(part, kind="stable")
    edges = np.searchsorted(part[order], np.arange(count + 1))
    return [
        (-(-1000 * (i + 1) // count), readings.take(order[edges[i] : edges[i + 1]]))
        for i in range(count)
        if edges[i + 1] > edges[i]
    ]
