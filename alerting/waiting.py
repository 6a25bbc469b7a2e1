"""Frames of scores that are ahead of the clock of the readings: they wait for their tick, in the order they came. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from contracts.errors import InvalidInput
from contracts.readings import EARLIEST_MS, LATEST_MS, all_good
from contracts.scores import Scores, decode_scores

MAX_WAITING_BYTES: Final = 64 * 1024 * 1024


def read_scores(payload: bytes) -> Scores:
    """A frame of scores. Raises `InvalidInput` for one that cannot be read, windows outside the calendar or patients that cannot
    be."""
    scores = decode_scores(payload)
    ends = scores.window_end_ms
    if len(ends) and (int(ends.min()) < EARLIEST_MS or int(ends.max()) >= LATEST_MS):
        raise InvalidInput("window_end_ms", "must be between the years 2000 and 2100, in milliseconds UTC")
    if not all_good(scores.patient.names):
        raise InvalidInput("patient", "must be 1 to 128 printable characters")
    return scores


class WaitingScores:
    """A queue of frames, none of them empty."""

    def __init__(self) -> None:
        self._items: deque[tuple[bytes, Scores, int]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def payloads(self) -> list[bytes]:
        """The frames as they came, oldest first."""
        return [payload for payload, _, _ in self._items]

    @property
    def too_many(self) -> bool:
        """Whether more wait than there is room for."""
        return self._bytes > MAX_WAITING_BYTES

    def due(self, tick_ms: int) -> bool:
        """Whether the time of the first has come."""
        return bool(self._items) and self._items[0][2] <= tick_ms

    def add(self, payload: bytes, scores: Scores) -> None:
        """One more, at the end."""
        self._items.append((payload, scores, int(scores.window_end_ms.max())))
        self._bytes += len(payload)

    def next(self) -> Scores:
        """Take out the first."""
        payload, scores, _ = self._items.popleft()
        self._bytes -= len(payload)
        return scores
