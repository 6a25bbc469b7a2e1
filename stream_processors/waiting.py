"""Rows that wait for their tick or their time, in the order they came."""

from __future__ import annotations

from stream_processors.clean import Rows, join


class Waiting:
    """A queue of rows. What it holds depends on the rows alone, not on how they were put in."""

    def __init__(self) -> None:
        self._parts: list[Rows] = []
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, rows: Rows) -> None:
        """Append `rows`."""
        if len(rows):
            self._parts.append(rows)
            self._rows += len(rows)

    def all(self) -> Rows | None:
        """Take out everything; None when nothing waits."""
        if not self._parts:
            return None
        rows = join(self._parts)
        self._parts, self._rows = [], 0
        return rows

    def first(self, count: int) -> Rows:
        """Take out the first `count` rows. There must be so many."""
        rows = join(self._parts)
        self._parts, self._rows = [], 0
        self.add(rows.take(slice(count, None)))
        return rows.take(slice(count))

    def limit(self, count: int) -> int:
        """Keep the last `count` rows; how many were let go."""
        excess = self._rows - count
        if excess <= 0:
            return 0
        self.first(excess)
        return excess
