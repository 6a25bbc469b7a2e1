"""Whether Kafka takes what we send, partition by partition: a state machine without a clock of its own.

A partition counts as away from the first write that failed or was not confirmed in time until the next confirmed one.
While it is away nothing for it is accepted, so nothing piles up; the tick is the probe.
"""

from __future__ import annotations

from typing import Final

# Spread over the seconds after an outage, so that devices do not come back all at once.
_RETRY_AFTER_S: Final = (1, 3, 2, 5, 4)


class Availability:
    """`fresh_s`: how old the newest confirmation of each partition may be for the gateway to count as ready."""

    def __init__(self, partitions: int, *, fresh_s: float = 5.0) -> None:
        self._away = [False] * partitions
        self._confirmed: list[float | None] = [None] * partitions
        self._fresh_s = fresh_s
        self._refusals = 0

    def confirmed(self, partition: int, now_s: float) -> None:
        """Kafka has a write to `partition`."""
        self._away[partition] = False
        self._confirmed[partition] = now_s

    def failed(self, partition: int) -> None:
        """A write to `partition` failed, or was not confirmed in time."""
        self._away[partition] = True

    def away(self, partition: int) -> bool:
        """Whether writes to `partition` are refused at present."""
        return self._away[partition]

    @property
    def none_left(self) -> bool:
        """Whether every partition is away: a request need not even be read."""
        return all(self._away)

    @property
    def missing(self) -> tuple[int, ...]:
        """The partitions that are away."""
        return tuple(p for p, away in enumerate(self._away) if away)

    def ready(self, now_s: float) -> bool:
        """Whether every partition confirmed a write lately."""
        return not any(self._away) and all(at is not None and now_s - at <= self._fresh_s for at in self._confirmed)

    def retry_after_s(self) -> int:
        """When the next refused sender should come back."""
        self._refusals += 1
        return _RETRY_AFTER_S[self._refusals % len(_RETRY_AFTER_S)]
