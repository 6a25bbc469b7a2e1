"""One row per topic: its name, what it carries, how many partitions it has and how long it keeps data.

The number of partitions is fixed for the life of a topic: changing it would move patients between workers that
hold their state. Topics that carry patients' data share one count, so that partition 3 of each holds the same patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PARTITIONS = 8
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS

Cleanup = Literal["delete", "compact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A Kafka topic. `retention_ms` -1 keeps everything; `config` holds further broker settings."""

    name: str
    payload: str
    partitions: int = PARTITIONS
    retention_ms: int
    cleanup: Cleanup = "delete"
    config: tuple[tuple[str, str], ...] = ()

    def settings(self) -> dict[str, str]:
        """Topic configuration as Kafka's admin interface takes it."""
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            # Recovery searches the log by the broker's own time: a device's clock must not decide what is replayed.
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(8 * 1024 * 1024),
            **dict(self.config),
        }


READINGS = Topic(
    name="vitals.readings",
    payload="columnar frames readings/1, plain JSON readings, ticks, and fault notices",
    retention_ms=4 * _DAY_MS,
)
WINDOWS = Topic(name="vitals.windows", payload="columnar frames windows/1", retention_ms=8 * _DAY_MS)
LATEST = Topic(name="vitals.latest", payload="columnar frames latest/1", retention_ms=_HOUR_MS)
SCORES = Topic(name="vitals.scores", payload="columnar frames scores/1", retention_ms=8 * _DAY_MS)
REJECTED = Topic(name="vitals.rejected", payload="dead letters: the original bytes, reason in the headers",
                 retention_ms=14 * _DAY_MS)
ALARMS = Topic(name="alarms.events", payload="JSON alarm events, keyed by patient", retention_ms=30 * _DAY_MS)
CANARY_ALARMS = Topic(name="alarms.canary", payload="JSON alarm events that answer the canary's readings", retention_ms=_HOUR_MS)
CONFIG = Topic(name="config.changes", payload="JSON numbered rule sets and settings", partitions=1, retention_ms=-1)
SNAPSHOTS = Topic(
    name="state.snapshots",
    payload="a worker's state with the offset it stands for, keyed by group, room and partition",
    retention_ms=-1,
    cleanup="compact",
    config=(
        ("segment.ms", "60000"),
        ("segment.bytes", str(16 * 1024 * 1024)),
        ("min.cleanable.dirty.ratio", "0.1"),
    ),
)

TOPICS: tuple[Topic, ...] = (READINGS, WINDOWS, LATEST, SCORES, REJECTED, ALARMS, CANARY_ALARMS, CONFIG, SNAPSHOTS)

# Kafka message headers, and the values of the content type.
CONTENT_TYPE = "content-type"
CONFIG_VERSION = "config-version"  # on windows: the number of the tick at which they closed, in decimal digits
ARROW_FRAME = "application/vnd.apache.arrow.stream"
JSON = "application/json"
TICK = "application/vnd.vigil.tick+json"
FAULT = "application/vnd.vigil.fault+json"
