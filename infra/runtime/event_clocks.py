"""How far event time has come in each partition of a process: for metrics only, nothing is decided by it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from contracts.errors import InvalidInput
from contracts.ticks import decode_tick
from contracts.topics import READINGS, TICK, Topic
from infra.runtime.records import Record


class EventClocks:
    """The newest tick of each partition; in a room whose topics carry no ticks, when its newest record was written.

    One writer; may be read from another thread.
    """

    def __init__(self, topics: Collection[Topic]) -> None:
        self._ticks = READINGS in topics
        self._ms: dict[int, int] = {}

    def see(self, partition: int, records: Sequence[Record]) -> None:
        """These were taken, in log order."""
        found = _newest_tick(records) if self._ticks else max((r.timestamp_ms for r in records), default=None)
        if found is not None:
            self._ms[partition] = max(found, self._ms.get(partition, 0))

    def drop(self, partition: int) -> None:
        """The partition went to another process."""
        self._ms.pop(partition, None)

    def slowest_ms(self) -> int | None:
        """Where the slowest partition stands; None when nothing was seen yet."""
        return min(self._ms.copy().values(), default=None)


def _newest_tick(records: Sequence[Record]) -> int | None:
    for record in reversed(records):
        if record.content_type() == TICK:
            try:
                return decode_tick(record.value or b"").tick_ms
            except InvalidInput:  # the room makes a dead letter of it
                continue
    return None
